"""The SDK's own routes, asked in memory. Identifiers, secrets and times come from the provider and are
always the same, so that the answers are too.
"""

import base64
from collections.abc import Callable
from typing import Any

from mcp.server.auth.provider import (
    AuthorizationCode,
    IdentityAssertionParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
)
from mcp.server.auth.routes import create_auth_routes, create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from samples import REGISTRATIONS

ISSUED_AT = 1700000000
LIFETIME = 2592000
YEAR_2100 = 4102444800
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CALLBACK = "http://127.0.0.1:3118/callback"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

SERVER = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource"

Emit = Callable[[str, str, bytes], None]


def _client(method: str, **more: Any) -> OAuthClientInformationFull:
    return OAuthClientInformationFull.model_validate(
        {
            "client_id": method,
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": method,
            "client_secret": None if method == "none" else "not-a-secret",
            "grant_types": ["authorization_code", "refresh_token", JWT_BEARER],
            **more,
        }
    )


CLIENTS = {
    client.client_id: client
    for client in (
        _client("none"),
        _client("client_secret_post"),
        _client("client_secret_basic"),
        _client("none", client_id="code-only", grant_types=["authorization_code"]),
    )
}

TOKENS = {
    "minimal": OAuthToken(access_token="access-1"),
    "full": OAuthToken(
        access_token="access-1",
        expires_in=3600,
        refresh_token="refresh-1",
        scope="files:read files:write",
    ),
}


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, Any]):
    """Everything in memory. Its codes say how the exchange ends."""

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return CLIENTS.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        # The handler answers with this very object.
        client_info.client_id = "client-1"
        client_info.client_id_issued_at = ISSUED_AT
        if client_info.client_secret is not None:
            client_info.client_secret = "not-a-secret"
        if client_info.client_secret_expires_at:
            client_info.client_secret_expires_at = ISSUED_AT + LIFETIME

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        if authorization_code == "unknown":
            return None
        return AuthorizationCode(
            code=authorization_code,
            scopes=["files:read"],
            expires_at=0 if authorization_code == "expired" else YEAR_2100,
            client_id=client.client_id,
            code_challenge=CHALLENGE,
            redirect_uri=CALLBACK,  # pyright: ignore[reportArgumentType]
            redirect_uri_provided_explicitly=True,
        )

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        match authorization_code.code:
            case "target":
                raise TokenError("invalid_target", "the resource is another one")
            case "bare":
                raise TokenError("unauthorized_client")
            case "empty-description":
                raise TokenError("invalid_scope", "")
            case name:
                return TOKENS[name]

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        if refresh_token == "unknown":
            return None
        return RefreshToken(
            token=refresh_token, client_id=client.client_id, scopes=["files:read"]
        )

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        return TOKENS[refresh_token.token]

    async def exchange_identity_assertion(
        self, client: OAuthClientInformationFull, params: IdentityAssertionParams
    ) -> OAuthToken:
        return OAuthToken(access_token="access-1", expires_in=300, scope="")


class Peer:
    """Routes of the SDK without a socket."""

    def __init__(self, routes: list[Route]):
        self.client = TestClient(Starlette(routes=routes), base_url="http://localhost")

    def ask(self, method: str, path: str, status: int, **more: Any) -> bytes:
        response = self.client.request(method, path, **more)
        if response.status_code != status:
            raise RuntimeError(f"{path} answered {response.status_code}: {response.text}")
        return response.content


def answers(emit: Emit) -> None:
    """Every answer of the routes."""
    full = Peer(
        create_auth_routes(
            Provider(),
            AnyHttpUrl("https://as.example/tenant"),
            AnyHttpUrl("https://as.example/docs"),
            ClientRegistrationOptions(
                enabled=True,
                client_secret_expiry_seconds=LIFETIME,
                valid_scopes=["files:read", "files:write"],
                default_scopes=["files:read"],
            ),
            RevocationOptions(enabled=True),
            identity_assertion_enabled=True,
        )
    )
    small = Peer(create_auth_routes(Provider(), AnyHttpUrl("https://as.example")))
    # `AuthSettings` keeps the spelling of the issuer, a URL by itself gains a slash.
    settings = AuthSettings.model_validate(
        {
            "issuer_url": "https://as.example",
            "resource_server_url": "https://rs.example",
            "validate_token_resource": True,
        }
    )
    forever = Peer(
        create_auth_routes(
            Provider(),
            settings.issuer_url,
            client_registration_options=ClientRegistrationOptions(enabled=True),
        )
    )
    local = Peer(create_auth_routes(Provider(), AnyHttpUrl("http://localhost:3000")))
    for name, peer in (
        ("full", full),
        ("minimal", small),
        ("settings", forever),
        ("loopback", local),
    ):
        emit("authorization-server-metadata", f"routes-{name}", peer.ask("GET", SERVER, 200))

    for name, client in REGISTRATIONS.items():
        answer = full.ask("POST", "/register", 201, json=client)
        emit("registration-answer", f"routes-{name}", answer)
    answer = forever.ask("POST", "/register", 201, json=REGISTRATIONS["minimal"])
    emit("registration-answer", "routes-forever", answer)

    _resources(settings, emit)
    _tokens(full, emit)
    _errors(full, emit)


def _resources(settings: AuthSettings, emit: Emit) -> None:
    assert settings.resource_server_url is not None
    full = create_protected_resource_routes(
        AnyHttpUrl("https://rs.example/mcp"),
        [AnyHttpUrl("https://as.example"), AnyHttpUrl("https://as.example/tenant")],
        scopes_supported=["files:read", "files:write"],
        resource_name="Files \U0001f4c1",
        resource_documentation=AnyHttpUrl("https://rs.example/docs"),
    )
    small = create_protected_resource_routes(settings.resource_server_url, [settings.issuer_url])
    for name, routes, path in (("full", full, f"{RESOURCE}/mcp"), ("settings", small, RESOURCE)):
        emit("protected-resource-metadata", f"routes-{name}", Peer(routes).ask("GET", path, 200))


def _code(name: str, client: str = "none") -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "client_id": client,
        "code": name,
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
    }


def _basic(secret: str) -> dict[str, str]:
    pair = base64.b64encode(f"client_secret_basic:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _tokens(peer: Peer, emit: Emit) -> None:
    post = {"client_secret": "not-a-secret"}
    refresh = {"grant_type": "refresh_token", "refresh_token": "full"}
    assertion = {"grant_type": JWT_BEARER, "assertion": "e30.e30."}
    for name, form, headers in (
        ("code-minimal", _code("minimal"), {}),
        ("code-full", _code("full", "client_secret_post") | post, {}),
        ("refresh", refresh | {"client_id": "client_secret_basic"}, _basic("not-a-secret")),
        ("assertion", assertion | {"client_id": "client_secret_post"} | post, {}),
    ):
        answer = peer.ask("POST", "/token", 200, data=form, headers=headers)
        emit("token-response", f"routes-{name}", answer)


def _errors(peer: Peer, emit: Emit) -> None:
    refresh = {"grant_type": "refresh_token", "client_id": "none", "refresh_token": "full"}
    basic = _code("full", "client_secret_basic")
    unverified = {**_code("full"), "code_verifier": "x" * 43}
    for name, status, form, headers in (
        ("no-client", 401, {"grant_type": "authorization_code"}, {}),
        ("unknown-client", 401, _code("full", "nobody"), {}),
        ("no-secret", 401, _code("full", "client_secret_post"), {}),
        ("no-header", 401, basic, {}),
        ("wrong-secret", 401, basic, _basic("wrong")),
        ("no-grant", 400, {"client_id": "none"}, {}),
        ("grant", 400, {"client_id": "none", "grant_type": "client_credentials"}, {}),
        ("grant-of-client", 400, {**refresh, "client_id": "code-only"}, {}),
        ("no-code", 400, {"client_id": "none", "grant_type": "authorization_code"}, {}),
        ("unknown-code", 400, _code("unknown"), {}),
        ("expired-code", 400, _code("expired"), {}),
        ("wrong-verifier", 400, unverified, {}),
        ("wrong-redirect", 400, {**_code("full"), "redirect_uri": "https://app.example/"}, {}),
        ("unknown-refresh", 400, {**refresh, "refresh_token": "unknown"}, {}),
        ("wider-scope", 400, {**refresh, "scope": "files:read \u2615"}, {}),
        ("target", 400, _code("target"), {}),
        ("bare", 400, _code("bare"), {}),
        ("empty-description", 400, _code("empty-description"), {}),
    ):
        answer = peer.ask("POST", "/token", status, data=form, headers=headers)
        emit("token-error", f"routes-{name}", answer)
    revocation = {"client_id": "nobody", "token": "access-1"}
    emit("token-error", "routes-revoke", peer.ask("POST", "/revoke", 401, data=revocation))
