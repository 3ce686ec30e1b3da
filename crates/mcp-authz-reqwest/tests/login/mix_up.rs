//! Mix-up attack: metadata with honest endpoints and the attacker's token endpoint.

use client_flow::{ClientConfig, DiscoveryError, FlowErrorKind, ServerProfile};
use mcp_authz_reqwest::{AuthorizedClient, Error};
use oauth_types::{EndpointUrl, Issuer, RedirectUri};
use serde_json::json;

use crate::fakes::*;

/// Starts an honest server, which sends no `iss` or its own (RFC 9207).
async fn honest(sends_iss: bool) -> Fake {
    Fake::start(move |origin, asked| match asked.what() {
        "POST /register" => json(201, &json!({"client_id": "c1", "redirect_uris": [REDIRECT]})),
        "GET /authorize" => {
            let state = asked.parameter("state").unwrap();
            let iss = if sends_iss { format!("&iss={origin}") } else { String::new() };
            redirect(&format!("{REDIRECT}?code=HONEST-CODE&state={state}{iss}"))
        }
        _ => json(404, &json!({})),
    })
    .await
}

/// Starts an attacker's MCP server, which names the endpoints of the honest server.
async fn evil(honest: &Fake, promises_iss: bool) -> Fake {
    let honest = honest.origin.clone();
    Fake::start(move |origin, asked| match asked.what() {
        "GET /.well-known/oauth-protected-resource/mcp" => json(200, &resource(origin)),
        "GET /.well-known/oauth-authorization-server" => {
            let mut document = metadata(origin);
            for (member, path) in
                [("authorization_endpoint", "/authorize"), ("registration_endpoint", "/register")]
            {
                document[member] = json!(format!("{honest}{path}"));
            }
            document["authorization_response_iss_parameter_supported"] = json!(promises_iss);
            json(200, &document)
        }
        "POST /token" => json(200, &json!({"access_token": "evil", "token_type": "Bearer"})),
        "GET /mcp" if asked.token.is_some() => json(200, &json!({})),
        "GET /mcp" => json(401, &json!({})),
        _ => json(404, &json!({})),
    })
    .await
}

fn client(evil: &Fake, profile: Option<ServerProfile>) -> AuthorizedClient {
    let mut config = ClientConfig::new("Test", RedirectUri::parse(REDIRECT).unwrap());
    if let Some(profile) = profile {
        config = config.with_server_profile(Issuer::parse(&evil.origin).unwrap(), profile);
    }
    let url = format!("{}/mcp", evil.origin);
    AuthorizedClient::builder(&url, config).user(Follows::new()).build().unwrap()
}

/// SEC-242
#[tokio::test]
async fn an_honest_servers_code_never_reaches_an_evil_token_endpoint() {
    let honest_server = honest(false).await;
    let evil_server = evil(&honest_server, false).await;
    match get(&client(&evil_server, None)).await {
        Err(Error::Flow(error)) => {
            let is_mix_up =
                matches!(error.kind(), FlowErrorKind::Discovery(DiscoveryError::MixUp { .. }));
            assert!(is_mix_up, "{error:?}");
            let says = error.to_string();
            assert!(says.contains(&honest_server.origin) && says.contains(&evil_server.origin));
            assert!(says.contains("ServerProfile::with_authorization_endpoint_at"), "{says}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(evil_server.count("POST /token"), 0);
    assert!(honest_server.asked().is_empty(), "nothing is sent before the refusal");

    // The metadata promises an `iss` that the honest server does not send, or sends with its own issuer.
    for sends_iss in [false, true] {
        let honest_server = honest(sends_iss).await;
        let evil_server = evil(&honest_server, true).await;
        let error = get(&client(&evil_server, None)).await.unwrap_err();
        let Error::Flow(flow) = &error else { panic!("{error:?}") };
        assert!(matches!(flow.kind(), FlowErrorKind::Callback(_)), "{error:?}");
        assert_eq!(honest_server.count("GET /authorize"), 1);
        assert_eq!(evil_server.count("POST /token"), 0);
    }

    // The host's profile allows this authorization endpoint for this issuer. The attack succeeds then, which shows that
    // the test detects it.
    let honest_server = honest(false).await;
    let evil_server = evil(&honest_server, false).await;
    let url = EndpointUrl::parse(&format!("{}/authorize", honest_server.origin)).unwrap();
    let profile = ServerProfile::new().with_authorization_endpoint_at(url);
    // The registration endpoint is at the origin that was allowed.
    assert_eq!(get(&client(&evil_server, Some(profile))).await.unwrap(), 200);
    assert_eq!(evil_server.count("POST /token"), 1);
}
