//! Samples of ordinary requests, for the benchmarks and the test `allocations`.

/// Step-up challenge (RFC 6750 §3).
pub const CHALLENGE: &str = "Bearer error=\"insufficient_scope\", \
    scope=\"files:read files:write user:profile\", \
    resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\", \
    error_description=\"Additional file write permission required\"";

/// Body of a token request (RFC 6749 §4.1.3).
pub const FORM: &[u8] = b"grant_type=authorization_code\
    &code=SplxlOBeZQQYbYS6WxSbIASplxlOBeZQQYbYS6WxSbIA\
    &redirect_uri=http%3A%2F%2F127.0.0.1%3A51004%2Fcallback\
    &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\
    &resource=https%3A%2F%2Fmcp.example.com%2Fmcp\
    &client_id=s6BhdRkqt3";

/// Two lists of ten scopes, three of which are in both.
pub const SCOPES: [&str; 2] = [
    "files:read files:write files:delete user:profile user:email mail:read mail:send calendar:read \
     calendar:write admin",
    "files:read user:email admin contacts:read contacts:write tasks:read tasks:write notes:read \
     notes:write search",
];

/// Basic credentials of `s6BhdRkqt3` with [`SECRET`].
pub const BASIC: &str = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";

/// Client secret in [`BASIC`].
pub const SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw";
