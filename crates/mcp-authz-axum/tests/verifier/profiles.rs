//! Access tokens as providers write them, and the ID tokens that they sign with the same keys.

use std::sync::Arc;

use mcp_authz_axum::{JwtVerifier, TokenVerifier as _};
use oauth_types::{JwkSet, ResourceUri, Secret, UnixTime};
use resource_server::{AccessTokenInfo, JwtProfile};
use serde_json::{Value, json};

use crate::protected::*;

/// One provider: what it signs, and the name that it has for the resource.
struct Provider {
    profile: JwtProfile,
    header: Value,
    access: Value,
    id: Value,
    audience: &'static str,
    client: &'static str,
}

const APP: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";

/// Samples of each provider's documentation, with this issuer and time.
#[expect(clippy::too_many_lines, reason = "a table of samples")]
fn providers() -> Vec<Provider> {
    let with = |claims: Value| {
        let mut all = json!({"iss": fixed(), "iat": NOW, "exp": NOW + 600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        all
    };
    let header = |typ: Option<&str>| header(&json!({"typ": typ}));
    vec![
        Provider {
            profile: JwtProfile::Entra,
            header: header(Some("JWT")),
            access: with(json!({"aud": APP, "azp": "c1", "azpacr": "0", "oid": "o", "sub": "u1",
                "scp": "files:read files:write", "tid": "t", "ver": "2.0", "nbf": NOW})),
            // Of a client that is the API as well, to whose users roles are assigned.
            id: with(json!({"aud": APP, "sub": "u1", "oid": "o", "tid": "t", "ver": "2.0",
                "roles": ["files:read"], "name": "A"})),
            audience: APP,
            client: "c1",
        },
        Provider {
            profile: JwtProfile::Entra,
            header: header(Some("JWT")),
            access: with(json!({"aud": "api://mcp", "appid": "c1", "appidacr": "0", "sub": "u1",
                "scp": "files:read files:write", "tid": "t", "ver": "1.0"})),
            id: with(json!({"aud": "api://mcp", "sub": "u1", "tid": "t", "ver": "1.0",
                "roles": ["files:read"], "nonce": "n"})),
            audience: "api://mcp",
            client: "c1",
        },
        Provider {
            profile: JwtProfile::Okta,
            header: header(None),
            access: with(json!({"ver": 1, "jti": "AT.0mP4", "aud": "api://default", "cid": "c1",
                "uid": "00u", "scp": ["files:read", "files:write"], "sub": "u1"})),
            id: with(json!({"ver": 1, "jti": "ID.radC", "aud": "api://default", "sub": "00u",
                "at_hash": "h", "amr": ["pwd"], "idp": "i"})),
            audience: "api://default",
            client: "c1",
        },
        Provider {
            profile: JwtProfile::Auth0,
            header: header(Some("JWT")),
            access: with(
                json!({"sub": "u1", "aud": ["https://api.example/", "https://t/userinfo"],
                "azp": "c1", "scope": "files:read files:write", "gty": "password"}),
            ),
            id: with(json!({"sub": "u1", "aud": "https://api.example/", "sid": "s", "nonce": "n"})),
            audience: "https://api.example/",
            client: "c1",
        },
        Provider {
            profile: JwtProfile::Auth0,
            header: header(Some("at+jwt")),
            access: with(json!({"sub": "u1", "aud": "https://api.example/", "jti": "j",
                "client_id": "c1", "scope": "files:read files:write"})),
            id: with(json!({"sub": "u1", "aud": "https://api.example/", "sid": "s"})),
            audience: "https://api.example/",
            client: "c1",
        },
        Provider {
            profile: JwtProfile::Keycloak,
            header: header(Some("JWT")),
            access: with(json!({"jti": "j", "aud": ["mcp-server", "account"], "sub": "u1",
                "typ": "Bearer", "azp": "c1", "nonce": "n", "scope": "files:read files:write"})),
            id: with(json!({"jti": "j", "aud": "mcp-server", "sub": "u1", "typ": "ID",
                "azp": "c1", "at_hash": "h", "scope": "files:read"})),
            audience: "mcp-server",
            client: "c1",
        },
        Provider {
            profile: JwtProfile::Cognito,
            header: header(None),
            access: with(json!({"sub": "u1", "token_use": "access", "version": 2, "jti": "j",
                "client_id": "1example23", "scope": "files:read files:write", "username": "u"})),
            id: with(json!({"sub": "u1", "token_use": "id", "aud": "1example23", "jti": "j",
                "client_id": "1example23", "scope": "files:read", "cognito:username": "u"})),
            audience: "1example23",
            client: "1example23",
        },
    ]
}

impl Provider {
    fn verifier(&self) -> JwtVerifier {
        let keys = JwkSet::from_json(PUBLIC.as_bytes()).unwrap();
        JwtVerifier::with_keys(fixed(), &keys)
            .unwrap()
            .with_profile(self.profile)
            .with_audience(self.audience, ResourceUri::parse(MCP).unwrap())
    }

    async fn facts(&self, claims: &Value) -> Option<Arc<AccessTokenInfo>> {
        self.facts_of(&signed_text(&self.header, &claims.to_string())).await
    }

    async fn facts_of(&self, token: &str) -> Option<Arc<AccessTokenInfo>> {
        let now = UnixTime::from_secs(NOW);
        self.verifier().verify(&Secret::new(token), now).await.unwrap()
    }

    /// The claims of the access token with some changed; `null` leaves one out.
    fn changed(&self, changes: &Value) -> Value {
        let mut claims = self.access.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }
}

fn is_for_mcp(facts: &AccessTokenInfo) -> bool {
    facts.audience.contains(&ResourceUri::parse(MCP).unwrap())
}

#[tokio::test]
async fn a_profile_reads_the_access_token_of_its_provider_only() {
    for provider in providers() {
        let profile = provider.profile;
        let facts = provider.facts(&provider.access).await.expect("its own token");
        assert_eq!(facts.subject.as_str(), "u1", "{profile:?}");
        assert_eq!(facts.client_id.as_str(), provider.client, "{profile:?}");
        assert_eq!(facts.scopes.as_str(), "files:read files:write", "{profile:?}");
        assert!(is_for_mcp(&facts), "{profile:?}");
        // Nothing of the sort without a profile, unless it is what RFC 9068 says.
        let token = signed_text(&provider.header, &provider.access.to_string());
        let is_standard = provider.header["typ"] == "at+jwt";
        assert_eq!(known(&token, NOW).await.is_some(), is_standard, "{profile:?}");
    }
}

/// R-AUTH-1, SEC-146
#[tokio::test]
async fn an_id_token_is_no_access_token_under_any_profile() {
    let providers = providers();
    for signer in &providers {
        for reader in &providers {
            // With the audience that the reader takes, and whatever type its header has.
            let mut id = signer.id.clone();
            id["aud"] = json!([signer.id["aud"], reader.audience, MCP]);
            for typ in [json!("JWT"), json!(null), signer.header["typ"].clone()] {
                if typ == "at+jwt" {
                    continue;
                }
                let token = signed_text(&header(&json!({"typ": typ})), &id.to_string());
                let found = reader.facts_of(&token).await;
                let readers = (signer.profile, reader.profile, typ);
                assert_eq!(found, None, "{readers:?}");
            }
        }
    }
}

/// SEC-146
#[tokio::test]
async fn what_openid_connect_writes_into_id_tokens_alone_is_refused() {
    for provider in providers() {
        let is_keycloak = provider.profile == JwtProfile::Keycloak;
        for member in ["nonce", "at_hash", "c_hash"] {
            let claims = provider.changed(&json!({member: "x"}));
            let is_taken = provider.facts(&claims).await.is_some();
            assert_eq!(is_taken, is_keycloak, "{:?} {member}", provider.profile);
        }
    }
}

/// SEC-146
#[tokio::test]
async fn what_tells_an_access_token_has_to_be_there() {
    for provider in providers() {
        let marks: &[Value] = match provider.profile {
            JwtProfile::Entra => &[
                json!({"scp": null}),
                json!({"ver": null}),
                json!({"ver": "3.0"}),
                json!({"azp": null, "appid": null}),
            ],
            JwtProfile::Okta => &[json!({"cid": null}), json!({"scp": null})],
            JwtProfile::Auth0 => {
                &[json!({"scope": null, "gty": null}), json!({"azp": null, "client_id": null})]
            }
            JwtProfile::Keycloak => &[
                json!({"typ": null}),
                json!({"typ": "ID"}),
                json!({"typ": "Refresh"}),
                json!({"typ": "Offline"}),
                json!({"typ": "Logout"}),
                json!({"typ": ["Bearer"]}),
                json!({"azp": null}),
            ],
            _ => &[
                json!({"token_use": null}),
                json!({"token_use": "id"}),
                json!({"token_use": true}),
                json!({"client_id": null}),
            ],
        };
        for mark in marks {
            let claims = provider.changed(mark);
            assert_eq!(provider.facts(&claims).await, None, "{:?} {mark}", provider.profile);
        }
        // The type is that of a JWT; `dpop+jwt`, `logout+jwt` and the like are others' tokens.
        for typ in ["logout+jwt", "dpop+jwt", "JOSE", "id+jwt", "application/okta-internal-at+jwt"]
        {
            let text = provider.access.to_string();
            let token = signed_text(&header(&json!({"typ": typ})), &text);
            assert_eq!(provider.facts_of(&token).await, None, "{:?} {typ}", provider.profile);
        }
    }
}

/// R-AUTH-3, SEC-143
#[tokio::test]
async fn tokens_for_other_apis_and_clients_are_for_no_resource_here() {
    for provider in providers() {
        let elsewhere: &[Value] = match provider.profile {
            JwtProfile::Cognito => &[
                json!({"client_id": "2example45"}),
                // A token that names its resource is for that one alone.
                json!({"aud": "https://other.example/mcp"}),
                json!({"aud": []}),
            ],
            _ => &[
                json!({"aud": "00000003-0000-0000-c000-000000000000"}),
                json!({"aud": "api://other"}),
                json!({"aud": null}),
                json!({"aud": provider.client}),
                json!({"aud": provider.audience.to_uppercase()}),
            ],
        };
        for changes in elsewhere {
            if changes["aud"] == provider.audience {
                continue;
            }
            let claims = provider.changed(changes);
            let facts = provider.facts(&claims).await.expect("a token, for another");
            assert!(!is_for_mcp(&facts), "{:?} {changes}", provider.profile);
        }
        // What names the resource itself needs no setting.
        let facts = provider.facts(&provider.changed(&json!({"aud": MCP}))).await.unwrap();
        assert!(is_for_mcp(&facts), "{:?}", provider.profile);
    }
}

#[tokio::test]
async fn roles_of_entra_are_scopes_in_app_tokens_not_in_users_tokens() {
    let providers = providers();
    let entra = &providers[0];
    let own = entra.changed(&json!({"scp": null, "roles": ["files:read"], "idtyp": "app"}));
    assert_eq!(entra.facts(&own).await.unwrap().scopes.as_str(), "files:read");
    let delegated = entra.changed(&json!({"scp": "files:read", "roles": ["files:admin"]}));
    assert_eq!(entra.facts(&delegated).await.unwrap().scopes.as_str(), "files:read");
}

#[tokio::test]
async fn scopes_are_where_the_host_says_and_as_the_field_says() {
    let file: Value = serde_json::from_str(include_str!(
        "../../../../tests/zoo/field/resource-jwt-scope-claims.json"
    ))
    .unwrap();
    let keys = JwkSet::from_json(PUBLIC.as_bytes()).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let text = case["claims"].to_string();
        let now = UnixTime::from_secs(case["claims"]["exp"].as_u64().unwrap() - 600);
        let token = Secret::new(signed_text(&header(&json!({})), &text));
        let verifier = || JwtVerifier::with_keys(fixed(), &keys).unwrap();
        let scopes = async |verifier: JwtVerifier| {
            let facts = verifier.verify(&token, now).await.unwrap().expect("a good token");
            facts.scopes.as_str().to_owned()
        };
        let (own, named) =
            (scopes(verifier()).await, scopes(verifier().with_scope_claim("scp")).await);
        let all = "files:read files:write";
        let expected = if name == "scope-text" { (all, "") } else { ("", all) };
        assert_eq!((&*own, &*named), expected, "{name}");
    }
}
