// What the SDK is given to make documents of. The names end on `.example`, and no secret is one.

const authorizationServer = {
  issuer: "https://as.example",
  authorization_endpoint: "https://as.example/authorize",
  token_endpoint: "https://as.example/token",
  response_types_supported: ["code"],
};

const openid = {
  ...authorizationServer,
  jwks_uri: "https://as.example/jwks",
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: ["RS256"],
};

const client = { redirect_uris: ["http://127.0.0.1:3118/callback"] };

const fullClient = {
  redirect_uris: ["https://app.example/callback?tenant=a%20b", "com.example.app:/callback"],
  token_endpoint_auth_method: "client_secret_post",
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  application_type: "native",
  client_name: "An app for caf\u{e9}s \u{2615}",
  client_uri: "https://app.example/",
  logo_uri: "https://app.example/logo.png",
  scope: "files:read files:write",
  contacts: ["team@app.example"],
  tos_uri: "https://app.example/tos",
  policy_uri: "https://app.example/policy",
  jwks_uri: "https://app.example/jwks",
  software_id: "4NRB1-0XZABZI9E6-5SM3R",
  software_version: "2.1",
  software_statement: "eyJhbGciOiJub25lIn0.e30.",
};

/** By kind and case, what goes through the schema of that kind. */
export const SAMPLES = {
  "authorization-server-metadata": {
    minimal: authorizationServer,
    full: {
      ...authorizationServer,
      registration_endpoint: "https://as.example/register",
      scopes_supported: ["files:read", "files:write"],
      response_modes_supported: ["query"],
      grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
      token_endpoint_auth_signing_alg_values_supported: ["ES256"],
      service_documentation: "https://as.example/docs",
      revocation_endpoint: "https://as.example/revoke",
      revocation_endpoint_auth_methods_supported: ["client_secret_basic"],
      revocation_endpoint_auth_signing_alg_values_supported: ["ES256"],
      introspection_endpoint: "https://as.example/introspect",
      introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
      introspection_endpoint_auth_signing_alg_values_supported: ["ES256"],
      code_challenge_methods_supported: ["S256"],
      client_id_metadata_document_supported: true,
      authorization_response_iss_parameter_supported: true,
      dpop_signing_alg_values_supported: ["ES256"],
    },
    "flags-off": {
      ...authorizationServer,
      client_id_metadata_document_supported: false,
      authorization_response_iss_parameter_supported: false,
    },
    unknown: {
      ...authorizationServer,
      jwks_uri: "https://as.example/jwks",
      x_number: 1,
      x_null: null,
      x_nested: { list: [true, { deep: "\u{1F511}" }] },
    },
  },
  "openid-metadata": {
    minimal: openid,
    full: {
      ...openid,
      userinfo_endpoint: "https://as.example/userinfo",
      registration_endpoint: "https://as.example/register",
      scopes_supported: ["openid", "profile"],
      response_types_supported: ["code", "code id_token"],
      response_modes_supported: ["query", "fragment"],
      grant_types_supported: ["authorization_code", "implicit"],
      acr_values_supported: ["urn:mace:incommon:iap:silver"],
      token_endpoint_auth_methods_supported: ["client_secret_basic", "private_key_jwt"],
      token_endpoint_auth_signing_alg_values_supported: ["RS256"],
      display_values_supported: ["page"],
      claim_types_supported: ["normal"],
      claims_supported: ["sub", "iss"],
      service_documentation: "https://as.example/docs",
      claims_locales_supported: ["en"],
      ui_locales_supported: ["en", "de-AT"],
      claims_parameter_supported: false,
      request_parameter_supported: true,
      request_uri_parameter_supported: false,
      require_request_uri_registration: false,
      op_policy_uri: "https://as.example/policy",
      op_tos_uri: "https://as.example/tos",
      client_id_metadata_document_supported: true,
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ["S256"],
    },
    unknown: { ...openid, x_number: 1, x_null: null },
  },
  "protected-resource-metadata": {
    minimal: { resource: "https://rs.example/mcp" },
    full: {
      resource: "https://rs.example/mcp?tenant=a",
      authorization_servers: ["https://as.example", "https://as.example/tenant"],
      jwks_uri: "https://rs.example/jwks",
      scopes_supported: ["files:read", "files:write"],
      bearer_methods_supported: ["header"],
      resource_signing_alg_values_supported: ["ES256"],
      resource_name: "Files \u{1F4C1}",
      resource_documentation: "https://rs.example/docs",
      resource_policy_uri: "https://rs.example/policy",
      resource_tos_uri: "https://rs.example/tos",
      tls_client_certificate_bound_access_tokens: false,
      authorization_details_types_supported: ["files"],
      dpop_signing_alg_values_supported: ["ES256"],
      dpop_bound_access_tokens_required: false,
    },
    "empty-lists": {
      resource: "http://localhost:3000/mcp",
      authorization_servers: [],
      scopes_supported: [],
      bearer_methods_supported: [],
    },
    unknown: {
      resource: "https://rs.example/",
      authorization_servers: ["https://as.example/"],
      "resource_name#de": "Dateien",
      x_null: null,
    },
  },
  "client-metadata": {
    minimal: client,
    full: fullClient,
    public: { ...client, token_endpoint_auth_method: "none" },
    basic: { ...client, token_endpoint_auth_method: "client_secret_basic" },
    "private-key-jwt": {
      ...client,
      token_endpoint_auth_method: "private_key_jwt",
      jwks: { keys: [{ kty: "EC", crv: "P-256", x: "AA", y: "AA", kid: "1" }] },
    },
    "private-scheme": { redirect_uris: ["exampleapp://callback"] },
    "no-redirects": { redirect_uris: [], grant_types: ["client_credentials"] },
    unknown: { ...client, x_number: 1, "client_name#de": "Eine App" },
  },
  "registration-answer": {
    minimal: { ...client, client_id: "client-1" },
    full: {
      ...fullClient,
      client_id: "https://app.example/client.json",
      client_secret: "not-a-secret~!*'()",
      client_id_issued_at: 1700000000,
      client_secret_expires_at: 1702592000,
    },
    forever: {
      ...client,
      client_id: "client-1",
      client_secret: "not-a-secret",
      client_secret_expires_at: 0,
    },
  },
  "token-response": {
    minimal: { access_token: "access-1", token_type: "Bearer" },
    full: {
      access_token: "access-1._~+/-==",
      id_token: "eyJhbGciOiJub25lIn0.e30.",
      token_type: "bearer",
      expires_in: 3600,
      scope: "files:read files:write",
      refresh_token: "refresh-1",
    },
    // The schema turns the text into a number.
    "expires-in-text": { access_token: "access-1", token_type: "BEARER", expires_in: "3600" },
    "expires-in-fraction": { access_token: "access-1", token_type: "Bearer", expires_in: 3599.5 },
    "empty-scope": { access_token: "access-1", token_type: "Bearer", expires_in: 0, scope: "" },
    unknown: { access_token: "access-1", token_type: "Bearer", x_number: 1 },
  },
  "token-error": {
    minimal: { error: "invalid_grant" },
    full: {
      error: "invalid_scope",
      error_description: "the scope is wider than what was granted",
      error_uri: "https://as.example/errors/invalid_scope",
    },
    unknown: { error: "slow_down", x_number: 1 },
  },
};

/** What clients send to the registration endpoint of the SDK's own server. */
export const REGISTRATIONS = {
  minimal: client,
  full: fullClient,
  public: { ...client, token_endpoint_auth_method: "none" },
  basic: { ...client, token_endpoint_auth_method: "client_secret_basic" },
  "private-scheme": { redirect_uris: ["exampleapp://callback"] },
  unknown: { ...client, x_number: 1, tos_uri: "", logo_uri: "" },
};
