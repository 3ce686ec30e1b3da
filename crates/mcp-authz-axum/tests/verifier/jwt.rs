//! JWT access tokens of a server that is not ours, over HTTP: which of them let anybody in.

use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mcp_authz_axum::{JwtVerifier, RemoteServer, TokenVerifier as _};
use oauth_types::{
    ClaimError, ClaimNames, EndpointUrl, JwkSet, ResourceUri, Secret, SigningAlgorithm, UnixTime,
};
use serde_json::{Value, json};

use crate::protected::*;

/// R-AUTH-3, SEC-143, SEC-146
#[tokio::test]
async fn a_good_token_for_this_resource_and_no_other_one() {
    let server = publishing().await;
    let own = server.issuer();
    let protected = protected(&server);
    let sign = |changes: &Value| signed(&claims(&own, changes));
    for good in [
        json!({}),
        json!({"aud": [MCP]}),
        json!({"aud": ["https://other.example", "not a URI", MCP]}),
        json!({"iat": null, "jti": null, "nbf": NOW, "unknown": {"a": [1]}}),
        json!({"scope": "files:write files:read"}),
        // Duende writes a list unless it is told otherwise.
        json!({"scope": ["files:write", "files:read"]}),
    ] {
        assert_eq!(protected.status(&sign(&good)).await, StatusCode::OK, "{good}");
    }
    let ran = protected.ran();
    for bad in [
        json!({"aud": null}),
        json!({"aud": []}),
        json!({"aud": "https://rs.example/other"}),
        json!({"aud": "https://rs.example"}),
        json!({"aud": "https://rs.example/mcp/x"}),
        json!({"aud": own}),
        json!({"aud": ["https://rs.example/other", own]}),
        json!({"aud": "c1"}),
        json!({"aud": [MCP, 1]}),
        json!({"aud": {"a": MCP}}),
        json!({"exp": null}),
        json!({"exp": NOW - 3600}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"client_id": null}),
        json!({"client_id": null, "azp": "c1", "cid": "c1"}),
        json!({"client_id": ""}),
        json!({"scope": "files:read \"x\""}),
        json!({"scope": ["files:read", "a b"]}),
        json!({"scope": {"files:read": true}}),
        json!({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}),
        json!({"cnf": {"jkt": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}}),
        json!({"cnf": {}}),
        json!({"cnf": "x"}),
        json!({"iss": null}),
        json!({"iss": [own]}),
        json!({"iss": format!("{}/", own.as_str())}),
        json!({"iss": own.as_str().to_uppercase()}),
        json!({"iss": "https://as.example"}),
    ] {
        assert_eq!(protected.status(&sign(&bad)).await, StatusCode::UNAUTHORIZED, "{bad}");
    }
    // What is missing can be had: the token itself is good.
    for narrow in [json!({"scope": null}), json!({"scope": ""}), json!({"scope": "files:write"})] {
        assert_eq!(protected.status(&sign(&narrow)).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(protected.ran(), ran);
    assert_eq!((server.asked(METADATA), server.asked("/jwks")), (1, 1));
}

/// R-AUTH-1, SEC-148
#[tokio::test]
async fn what_a_tokens_header_says_leads_nowhere() {
    let (server, elsewhere) = (publishing().await, publishing().await);
    let (own, protected) = (server.issuer(), protected(&server));
    let good = claims(&own, &json!({}));
    let text = good.to_string();
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = signed_text(&header(&json!({"typ": typ})), &text);
        assert_eq!(protected.status(&token).await, StatusCode::OK, "{typ}");
    }
    let ran = protected.ran();
    let mut bad: Vec<String> = Vec::new();
    for changes in [
        json!({"typ": "JWT"}),
        json!({"typ": null}),
        json!({"typ": "at+jwt+x"}),
        json!({"typ": "id+jwt"}),
        json!({"typ": "application/jwt"}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"kid": "unknown"}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES384"}),
        json!({"alg": "RS256"}),
    ] {
        bad.push(signed_text(&header(&changes), &text));
    }
    // Nobody has signed it.
    let unsigned = signed_text(&header(&json!({"alg": "none"})), &text);
    bad.push(format!("{}.", unsigned.rsplit_once('.').unwrap().0));
    // The public key as a shared secret.
    let public: Value = serde_json::from_str(PUBLIC).unwrap();
    for secret in [PUBLIC, public["keys"][3]["n"].as_str().unwrap(), ""] {
        for id in ["rs256", "es256"] {
            let mut shared = Header::new(Algorithm::HS256);
            (shared.typ, shared.kid) = (Some("at+jwt".into()), Some(id.into()));
            let secret = EncodingKey::from_secret(secret.as_bytes());
            bad.push(jsonwebtoken::encode(&shared, &good, &secret).unwrap());
        }
    }
    // Somebody else's key, which the header offers in every way.
    let other = EncodingKey::from_ec_pem(OTHER.as_bytes()).unwrap();
    let own_jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&other, Algorithm::ES256).unwrap();
    let mut offering = Header::new(Algorithm::ES256);
    offering.typ = Some("at+jwt".into());
    for id in [None, Some("es256".to_owned()), Some("other".to_owned())] {
        offering.kid = id;
        bad.push(jsonwebtoken::encode(&offering, &good, &other).unwrap());
        offering.jku = Some(elsewhere.url("/jwks"));
        offering.x5u = Some(elsewhere.url("/x5u"));
        offering.jwk = Some(own_jwk.clone());
        bad.push(jsonwebtoken::encode(&offering, &good, &other).unwrap());
    }
    // Not whole, changed, or no JWT.
    let token = signed(&good);
    let (start, signature) = token.rsplit_once('.').unwrap();
    bad.extend([start.to_owned(), format!("{start}."), format!("{start}.{signature}.x")]);
    bad.push(format!("{start}.{}{signature}", "AAAA"));
    bad.extend(["x".to_owned(), "a.b.c".to_owned(), "..".to_owned()]);
    bad.push(signed(&claims(&own, &json!({"padding": "x".repeat(16 * 1024)}))));
    for token in &bad {
        assert_eq!(protected.status(token).await, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert_eq!(protected.ran(), ran);
    assert_eq!(protected.status(&token).await, StatusCode::OK);
    assert_eq!((server.asked("/jwks"), elsewhere.all()), (1, 0));
}

/// SEC-197
#[tokio::test]
async fn the_clock_of_the_server_may_be_off_by_a_minute() {
    for (changes, is_good) in [
        (json!({"exp": NOW - 59}), true),
        (json!({"exp": NOW - 61}), false),
        (json!({"iat": NOW + 59}), true),
        (json!({"iat": NOW + 61}), false),
        (json!({"nbf": NOW + 59}), true),
        (json!({"nbf": NOW + 61}), false),
        (json!({"exp": NOW + 366 * 24 * 3600}), true),
        (json!({"exp": NOW + 367 * 24 * 3600}), false),
    ] {
        let server = publishing().await;
        let token = signed(&claims(&server.issuer(), &changes));
        let status = protected(&server).status(&token).await;
        assert_eq!(status == StatusCode::OK, is_good, "{changes}");
    }
}

/// SEC-199
#[tokio::test]
async fn times_that_are_none_let_nobody_in() {
    let server = publishing().await;
    let protected = protected(&server);
    let text = claims(&server.issuer(), &json!({"exp": "EXP"})).to_string();
    let with = |exp: &str| signed_text(&header(&json!({})), &text.replace("\"EXP\"", exp));
    assert_eq!(protected.status(&with("1000600")).await, StatusCode::OK);
    assert_eq!(protected.status(&with("1000600.9")).await, StatusCode::OK);
    for exp in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e400",
        "1e308",
        "1e18",
        "-1",
        "-1e400",
        "\"1000600\"",
        "null",
        "true",
        "[1000600]",
        "{}",
        "0",
        "1000600,\"exp\":1000600000000",
    ] {
        assert_eq!(protected.status(&with(exp)).await, StatusCode::UNAUTHORIZED, "{exp}");
    }
    for claim in ["iat", "nbf"] {
        for time in ["9223372036854775808", "1e400", "-1", "\"1000000\"", "[]"] {
            let claims = claims(&server.issuer(), &json!({claim: "T"})).to_string();
            let token = signed_text(&header(&json!({})), &claims.replace("\"T\"", time));
            assert_eq!(protected.status(&token).await, StatusCode::UNAUTHORIZED, "{claim} {time}");
        }
    }
}

#[tokio::test]
async fn what_a_token_says_is_known_in_full() {
    let jkt = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let changes = json!({"cnf": {"jkt": jkt}, "aud": ["x", MCP, "https://other.example"]});
    let facts = known(&signed(&claims(&fixed(), &changes)), NOW).await.unwrap();
    assert_eq!((facts.subject.as_str(), facts.client_id.as_str()), ("alice", "c1"));
    assert_eq!((&facts.issuer, facts.scopes.as_str()), (&fixed(), "files:read"));
    let audience: Vec<&str> = facts.audience.iter().map(ResourceUri::as_str).collect();
    assert_eq!(audience, [MCP, "https://other.example"]);
    assert_eq!(facts.expires_at, Some(UnixTime::from_secs(NOW + 600 + 60)));
    assert_eq!(facts.jkt.unwrap().to_string(), jkt);
    // Bound to a key, and to something else.
    let both = json!({"cnf": {"jkt": jkt, "x5t#S256": jkt}});
    assert_eq!(known(&signed(&claims(&fixed(), &both)), NOW).await, None);
}

#[tokio::test]
async fn fixed_keys_ask_nobody_and_wait_for_nobody() {
    let claims = claims(&fixed(), &json!({}));
    for (pem, algorithm, id) in [
        (ES256, SigningAlgorithm::Es256, "es256"),
        (EDDSA, SigningAlgorithm::EdDsa, "eddsa"),
        (RS256, SigningAlgorithm::Rs256, "rs256"),
    ] {
        let token = signed_by(pem, algorithm, id, &claims);
        assert!(known(&token, NOW).await.is_some(), "{id}");
        assert!(known(&token, NOW + 10 * 365 * 24 * 3600).await.is_some(), "{id}");
    }
    let other = signed_by(OTHER, SigningAlgorithm::Es256, "es256", &claims);
    assert_eq!(known(&other, NOW).await, None);
    let none = JwkSet::from_json(br#"{"keys":[]}"#).unwrap();
    assert!(JwtVerifier::with_keys(fixed(), &none).is_err());
}

#[tokio::test]
async fn a_host_sets_key_place_rsa_scheme_and_client_claim() {
    let server = publishing().await;
    let own = server.issuer();
    let key = EncodingKey::from_rsa_pem(RS256.as_bytes()).unwrap();
    let mut head = Header::new(Algorithm::PS256);
    (head.typ, head.kid) = (Some("at+jwt".into()), Some("rs256".into()));
    let claims = claims(&own, &json!({"client_id": null, "azp": "c2"}));
    let token = Secret::new(jsonwebtoken::encode(&head, &claims, &key).unwrap());
    let verifier = || {
        let url = EndpointUrl::parse(&server.url("/jwks")).unwrap();
        let server = RemoteServer::new(own.clone()).unwrap();
        JwtVerifier::of(server).with_jwks_uri(url).with_ps256()
    };
    let now = UnixTime::from_secs(NOW);
    let facts = verifier().with_client_claim("azp").verify(&token, now).await.unwrap().unwrap();
    assert_eq!(facts.client_id.as_str(), "c2");
    assert_eq!(verifier().verify(&token, now).await, Ok(None));
    // The key's algorithm it is, and no other one.
    let rs256 = Secret::new(signed_by(RS256, SigningAlgorithm::Rs256, "rs256", &claims));
    let refused = verifier().with_client_claim("azp").verify(&rs256, now).await;
    assert_eq!(refused, Ok(None));
    assert_eq!(server.asked(METADATA), 0);
}

/// Claims that stand twice, or an audience of very many servers.
#[tokio::test]
async fn a_token_with_doubled_or_very_many_claims_is_refused() {
    let text = claims(&fixed(), &json!({})).to_string();
    let start = text.strip_suffix('}').unwrap();
    let with = |more: &str| signed_text(&header(&json!({})), &format!("{start},{more}}}"));
    let once = known(&with(r#""cnf":null"#), NOW).await.unwrap();
    assert_eq!((once.subject.as_str(), &once.jkt), ("alice", &None));
    for twice in [
        r#""iss":"https://as.example""#,
        r#""sub":"bob""#,
        r#""aud":"https://rs.example/mcp""#,
        r#""exp":1000600"#,
        r#""scope":"admin""#,
        r#""client_id":"c2""#,
        r#""cnf":{"x5t#S256":"x"},"cnf":null"#,
        r#""x":1,"x":1"#,
    ] {
        assert_eq!(known(&with(twice), NOW).await, None, "{twice}");
    }
    let many = |count| signed(&claims(&fixed(), &json!({"aud": vec![MCP; count]})));
    assert!(known(&many(100), NOW).await.is_some());
    assert_eq!(known(&many(101), NOW).await, None);
}

/// Handlers read the claims that the host named, cached or not; the checks read their own.
#[tokio::test]
async fn named_claims_of_a_token_reach_handlers() {
    let keys = JwkSet::from_json(PUBLIC.as_bytes()).unwrap();
    let names = ClaimNames::new(["groups", "email"]).unwrap();
    let verifier = JwtVerifier::with_keys(fixed(), &keys).unwrap().with_extra_claims(names);
    let changes = json!({"groups": ["staff", "admins"], "email": 7, "phone": "canary"});
    let token = Secret::new(signed(&claims(&fixed(), &changes)));
    for _ in 0..2 {
        let facts = verifier.verify(&token, UnixTime::from_secs(NOW)).await.unwrap().unwrap();
        assert_eq!(facts.claims.get::<Vec<String>>("groups").unwrap(), ["staff", "admins"]);
        assert_eq!(facts.claims.get::<String>("email"), Err(ClaimError::OtherType));
        assert_eq!(facts.claims.get::<String>("phone"), Err(ClaimError::Absent));
        assert_eq!(facts.claims.get::<String>("sub"), Err(ClaimError::Absent));
    }
    let none = known(token.expose(), NOW).await.unwrap();
    assert_eq!(none.claims.names().count(), 0);
}
