//! What comes over the wire in an ordinary request: measured by the benchmarks, counted by the test `allocations`.

/// A step-up challenge.
pub const CHALLENGE: &str = "Bearer error=\"insufficient_scope\", \
    scope=\"files:read files:write user:profile\", \
    resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\", \
    error_description=\"Additional file write permission required\"";

/// A token request.
pub const FORM: &[u8] = b"grant_type=authorization_code\
    &code=SplxlOBeZQQYbYS6WxSbIASplxlOBeZQQYbYS6WxSbIA\
    &redirect_uri=http%3A%2F%2F127.0.0.1%3A51004%2Fcallback\
    &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\
    &resource=https%3A%2F%2Fmcp.example.com%2Fmcp\
    &client_id=s6BhdRkqt3";

/// Two texts of ten scopes, of which three are in both.
pub const SCOPES: [&str; 2] = [
    "files:read files:write files:delete user:profile user:email mail:read mail:send calendar:read \
     calendar:write admin",
    "files:read user:email admin contacts:read contacts:write tasks:read tasks:write notes:read \
     notes:write search",
];

/// Basic credentials of `s6BhdRkqt3` with [`SECRET`].
pub const BASIC: &str = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";

/// The secret in [`BASIC`].
pub const SECRET: &str = "7Fjfp0ZBr1KtDRbnfVdmIw";
