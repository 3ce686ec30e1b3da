"""What the SDK is given to make documents of. The names end on `.example`, and no secret is one."""

from typing import Any

_SERVER: dict[str, Any] = {
    "issuer": "https://as.example",
    "authorization_endpoint": "https://as.example/authorize",
    "token_endpoint": "https://as.example/token",
}

_CLIENT: dict[str, Any] = {"redirect_uris": ["http://127.0.0.1:3118/callback"]}

FULL_CLIENT: dict[str, Any] = {
    "redirect_uris": ["https://app.example/callback?tenant=a%20b", "com.example.app:/callback"],
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "application_type": "web",
    "client_name": "An app for caf\u00e9s \u2615",
    "client_uri": "https://app.example/",
    "logo_uri": "https://app.example/logo.png",
    "scope": "files:read files:write",
    "contacts": ["team@app.example"],
    "tos_uri": "https://app.example/tos",
    "policy_uri": "https://app.example/policy",
    "jwks_uri": "https://app.example/jwks",
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "software_version": "2.1",
}

# By kind and case, what goes through the model of that kind. Models keep no unknown member.
SAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "authorization-server-metadata": {
        "minimal": _SERVER,
        "full": {
            **_SERVER,
            "registration_endpoint": "https://as.example/register",
            "scopes_supported": ["files:read", "files:write"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "none",
            ],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
            "service_documentation": "https://as.example/docs",
            "ui_locales_supported": ["en", "de-AT"],
            "op_policy_uri": "https://as.example/policy",
            "op_tos_uri": "https://as.example/tos",
            "revocation_endpoint": "https://as.example/revoke",
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic"],
            "revocation_endpoint_auth_signing_alg_values_supported": ["ES256"],
            "introspection_endpoint": "https://as.example/introspect",
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
            "introspection_endpoint_auth_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "client_id_metadata_document_supported": True,
            "authorization_response_iss_parameter_supported": True,
            "authorization_grant_profiles_supported": [
                "urn:ietf:params:oauth:grant-profile:id-jag"
            ],
        },
        "flags-off": {
            **_SERVER,
            "client_id_metadata_document_supported": False,
            "authorization_response_iss_parameter_supported": False,
        },
        "unknown": {**_SERVER, "jwks_uri": "https://as.example/jwks", "x_number": 1},
    },
    "protected-resource-metadata": {
        "minimal": {
            "resource": "https://rs.example/mcp",
            "authorization_servers": ["https://as.example"],
        },
        "full": {
            "resource": "https://rs.example/mcp?tenant=a",
            "authorization_servers": ["https://as.example", "https://as.example/tenant"],
            "jwks_uri": "https://rs.example/jwks",
            "scopes_supported": ["files:read", "files:write"],
            "bearer_methods_supported": ["header"],
            "resource_signing_alg_values_supported": ["ES256"],
            "resource_name": "Files \U0001f4c1",
            "resource_documentation": "https://rs.example/docs",
            "resource_policy_uri": "https://rs.example/policy",
            "resource_tos_uri": "https://rs.example/tos",
            "tls_client_certificate_bound_access_tokens": False,
            "authorization_details_types_supported": ["files"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "dpop_bound_access_tokens_required": False,
        },
        "empty-lists": {
            "resource": "http://localhost:3000/mcp",
            "authorization_servers": ["http://localhost:3000"],
            "scopes_supported": [],
            "bearer_methods_supported": [],
        },
        "no-methods": {
            "resource": "https://rs.example/",
            "authorization_servers": ["https://as.example/"],
            "bearer_methods_supported": None,
        },
    },
    "client-metadata": {
        "minimal": _CLIENT,
        "full": FULL_CLIENT,
        "public": {**_CLIENT, "token_endpoint_auth_method": "none"},
        "basic": {**_CLIENT, "token_endpoint_auth_method": "client_secret_basic"},
        "private-key-jwt": {
            **_CLIENT,
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "1"}]},
        },
        "private-scheme": {"redirect_uris": ["exampleapp://callback"]},
        "no-redirects": {"redirect_uris": None, "grant_types": ["client_credentials"]},
        "unknown": {**_CLIENT, "x_number": 1, "tos_uri": ""},
    },
    "registration-answer": {
        "minimal": {"client_id": "client-1"},
        "full": {
            **FULL_CLIENT,
            "client_id": "https://app.example/client.json",
            "client_secret": "not-a-secret~!*'()",
            "client_id_issued_at": 1700000000,
            "client_secret_expires_at": 1702592000,
        },
        "forever": {
            **_CLIENT,
            "client_id": "client-1",
            "client_secret": "not-a-secret",
            "client_secret_expires_at": 0,
        },
    },
    "token-response": {
        "minimal": {"access_token": "access-1"},
        "full": {
            "access_token": "access-1._~+/-==",
            "token_type": "bearer",
            "expires_in": 3600,
            "scope": "files:read files:write",
            "refresh_token": "refresh-1",
        },
        "expires-in-text": {"access_token": "access-1", "token_type": "BEARER", "expires_in": "3600"},
        "empty-scope": {"access_token": "access-1", "expires_in": 0, "scope": ""},
    },
    "token-error": {
        "minimal": {"error": "invalid_grant"},
        "full": {
            "error": "invalid_scope",
            "error_description": "the scope is wider than what was granted",
            "error_uri": "https://as.example/errors/invalid_scope",
        },
    },
}

# What clients send to the registration endpoint of the SDK's own server.
REGISTRATIONS: dict[str, dict[str, Any]] = {
    "minimal": _CLIENT,
    "full": FULL_CLIENT,
    "public": {**_CLIENT, "token_endpoint_auth_method": "none"},
    "basic": {**_CLIENT, "token_endpoint_auth_method": "client_secret_basic"},
    "private-scheme": {"redirect_uris": ["exampleapp://callback"]},
    "no-redirects": {"redirect_uris": None},
    "unknown": {**_CLIENT, "x_number": 1, "tos_uri": "", "logo_uri": ""},
}
