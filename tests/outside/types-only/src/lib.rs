//! An SDK with a flow of its own: from a 401 to the URL that the browser opens.

use http::HeaderMap;
use oauth_types::{
    AuthorizationServerMetadata, BearerChallenge, CodeVerifier, EndpointUrl, InvalidUri,
    ResourceUri, State, protected_resource_url,
};

/// Returns where the resource's metadata is: where its challenge says, or at the well-known URL.
pub fn metadata_url(
    headers: &HeaderMap,
    resource: &ResourceUri,
) -> Result<EndpointUrl, InvalidUri> {
    match BearerChallenge::from_headers(headers).and_then(|challenge| challenge.resource_metadata) {
        Some(url) => Ok(url),
        None => protected_resource_url(resource),
    }
}

/// Returns the URL of the login, for a server that takes PKCE.
pub fn login_url(
    server: &AuthorizationServerMetadata,
    verifier: &CodeVerifier,
    state: &State,
) -> Option<String> {
    if !server.supports_s256() {
        return None;
    }
    let challenge = verifier.challenge();
    let query = [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("code_challenge", challenge.as_str()),
        ("state", state.as_secret().expose()),
    ];
    Some(server.authorization_endpoint.as_ref()?.with_query(query))
}

#[test]
fn from_a_challenge_to_a_login() -> Result<(), Box<dyn std::error::Error>> {
    use oauth_types::{Entropy, ProtectedResourceMetadata, authorization_server_urls};

    let resource = ResourceUri::parse("https://rs.example/mcp")?;
    let url = metadata_url(&HeaderMap::new(), &resource)?;
    assert_eq!(url.as_str(), "https://rs.example/.well-known/oauth-protected-resource/mcp");
    let json = br#"{"resource": "https://rs.example/mcp", "authorization_servers": ["https://as.example/t1"]}"#;
    let metadata = ProtectedResourceMetadata::from_json(json)?;
    let issuer = &metadata.authorization_servers[0];
    let first = &authorization_server_urls(issuer)?[0];
    assert_eq!(first.as_str(), "https://as.example/.well-known/oauth-authorization-server/t1");
    let json = br#"{"issuer": "https://as.example/t1", "authorization_endpoint": "https://as.example/t1/login",
        "token_endpoint": "https://as.example/t1/token", "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"]}"#;
    let server = AuthorizationServerMetadata::from_json(json)?;
    let (verifier, state) =
        (CodeVerifier::new(Entropy::new([1; 32])), State::new(Entropy::new([2; 32])));
    let url = login_url(&server, &verifier, &state).ok_or("no PKCE")?;
    assert!(
        url.starts_with(
            "https://as.example/t1/login?response_type=code&code_challenge_method=S256&"
        )
    );
    Ok(())
}
