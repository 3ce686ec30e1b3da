//! Answers about other tokens than access tokens, as the servers that write them do.

use super::*;

/// SEC-231
#[tokio::test]
async fn a_refresh_token_or_an_id_token_is_no_access_token() {
    for members in [
        // Ory Hydra, and Appwrite.
        json!({"token_type": "Bearer", "token_use": "refresh_token"}),
        json!({"token_type": null, "token_use": "refresh_token"}),
        // Keycloak.
        json!({"typ": "Refresh"}),
        json!({"typ": "Offline"}),
        json!({"typ": "ID"}),
        // Servers that show the claims of Amazon Cognito.
        json!({"token_use": "id"}),
        // One that says both.
        json!({"token_use": "access_token", "typ": "Refresh"}),
        json!({"token_use": "refresh_token", "typ": "Bearer"}),
        json!({"token_use": ["access_token"]}),
    ] {
        let servers = servers().await;
        servers.foreign.answer(ENDPOINT, active(&members));
        servers.refused(&servers.show("t").await, &members.to_string());
        servers.refused(&servers.show("t").await, &members.to_string());
    }
}

/// SEC-231
#[tokio::test]
async fn the_access_tokens_of_real_servers_are_taken() {
    for members in [
        // Ory Hydra.
        json!({"token_type": "Bearer", "token_use": "access_token"}),
        // Keycloak.
        json!({"token_type": "Bearer", "typ": "Bearer"}),
        json!({"token_use": "access"}),
        // Duende IdentityServer.
        json!({"token_type": "access_token"}),
        json!({"typ": "JWT"}),
        json!({"typ": "at+jwt"}),
        json!({"token_use": null, "typ": null}),
    ] {
        let servers = servers().await;
        servers.foreign.answer(ENDPOINT, active(&members));
        assert_eq!(servers.show("t").await.status, StatusCode::OK, "{members}");
    }
}
