//! How often the hot paths allocate: not at all, or once for what they keep.

#![cfg(test)]

use std::borrow::Cow;
use std::sync::Arc;

use allocation_counter::measure;
use axum::Router;
use client_auth::{
    BasicCredentials, ClientAuthRecord, InvalidSecretHash, Presented, SecretVerifier, SigningKey,
};
use client_flow::{Session, Tried, Verdict, judge};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use mcp_authz_axum::{IntrospectionVerifier, JwtVerifier, TokenVerifier as _};
use oauth_types::{
    AuthMethod, Challenges, ClientId, EndpointUrl, FormPairs, Issuer, JwkSet, ResourceUri,
    ScopeSet, Secret, SecretDigest, SigningAlgorithm, Subject, UnixTime,
};
use resource_server::{AccessTokenInfo, OperationScopes, Resource};
use scope_stepup::{Ledger, NoHierarchy, Operation, Policy};
use tests::samples::{BASIC, CHALLENGE, FORM, SCOPES, SECRET};
use tests::world::now_or_never;
use tokio::net::TcpListener;

/// Allocations of one run, the result dropped.
fn allocations<T>(run: impl FnOnce() -> T) -> u64 {
    measure(|| drop(run())).count_total
}

#[test]
fn reading_a_challenge_allocates_nothing() {
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))]);
    let count = allocations(|| {
        let challenge = Challenges::new(&headers).next().unwrap().unwrap();
        assert!(challenge.param("scope").unwrap().unwrap().to_text().is_some());
        assert!(challenge.params().count() == 4);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_form_allocates_its_list_and_its_decoded_values_only() {
    // Two of the six values have escapes; the list of pairs is one more.
    assert_eq!(allocations(|| FormPairs::parse(FORM).unwrap()), 3);
    assert_eq!(allocations(|| FormPairs::parse(b"").unwrap()), 0);
}

#[test]
fn a_scope_union_allocates_its_text_and_list_a_check_nothing() {
    let [held, wanted] = SCOPES.map(|text| ScopeSet::parse(text).unwrap());
    assert_eq!(allocations(|| held.union(&wanted).unwrap()), 2);
    assert_eq!(allocations(|| ScopeSet::parse(SCOPES[0]).unwrap()), 2);
    assert_eq!(allocations(|| wanted.exceeds(&held)), 0);
}

#[test]
fn client_authentication_allocates_its_id_and_decoded_values() {
    let line = HeaderValue::from_static(BASIC);
    assert_eq!(allocations(|| BasicCredentials::decode(&line).unwrap()), 1);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, line)]);
    let form = FormPairs::parse(FORM).unwrap();
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
        .with_secret(Secret::new(SECRET).digest());
    let mut presented = None;
    assert_eq!(allocations(|| presented = Some(Presented::parse(&headers, &form).unwrap())), 2);
    let now = UnixTime::from_secs(0);
    assert_eq!(allocations(|| presented.unwrap().verify(Some(&record), &[], now).unwrap()), 0);
    // In a form, the secret is copied once: it is verified after the form is gone.
    let form = FormPairs::parse(b"client_id=c1&client_secret=s3cret").unwrap();
    let mut presented = None;
    let parse = || presented = Some(Presented::parse(&HeaderMap::new(), &form).unwrap());
    assert_eq!(allocations(parse), 2);
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new("s3cret").digest());
    let presented = presented.unwrap();
    assert_eq!(allocations(|| presented.verify(Some(&record), &[], now).unwrap()), 0);
}

/// Verifier that allocates nothing.
struct NoHash;

impl SecretVerifier for NoHash {
    fn verify(&self, _: &str, _: &Secret) -> Result<bool, InvalidSecretHash> {
        Ok(true)
    }

    fn decoy(&self) -> &str {
        "decoy"
    }
}

#[test]
fn a_verifier_costs_a_copy_of_the_secret() {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(BASIC))]);
    let presented = Presented::parse(&headers, &FormPairs::default()).unwrap();
    let record = ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret_hash("hash");
    let now = UnixTime::from_secs(0);
    let other = presented.clone();
    let verify = || presented.verify_with(&NoHash, Some(&record), &[], now).unwrap();
    assert_eq!(allocations(verify), 1);
    assert_eq!(allocations(|| other.secret_check(Some(&record), now).skip()), 0);
}

#[test]
fn a_bearer_decision_allocates_the_token_and_nothing_else() {
    let scopes = OperationScopes::new("files:read")
        .and_then(|scopes| scopes.tool("write-file", "files:write"))
        .unwrap();
    let (now, order) = (UnixTime::from_secs(0), NoHierarchy);
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write-file"}}"#;
    for uri in ["https://rs.example/mcp", "http://127.0.0.1:8000/mcp"] {
        let uri = ResourceUri::parse(uri).unwrap();
        let issuer = Issuer::parse("https://as.example").unwrap();
        let resource = Resource::new(uri.clone(), vec![issuer.clone()]).unwrap();
        let facts = Arc::new(
            AccessTokenInfo::new(
                Subject::parse("alice").unwrap(),
                ClientId::parse("c").unwrap(),
                issuer,
            )
            .with_scopes(ScopeSet::parse(SCOPES[0]).unwrap())
            .with_audience([uri])
            .with_expires_at(UnixTime::from_secs(1)),
        );
        let request = Request::post("/mcp")
            .header(HOST, "localhost:8000")
            .header(ORIGIN, "http://localhost:3000")
            .header(AUTHORIZATION, format!("Bearer {SECRET}"));
        let request = request.body(&body[..]).unwrap();
        let required = scopes.required_for(request.headers(), request.body()).unwrap();
        assert!(matches!(required, Cow::Borrowed(_)), "what stands in a row is not copied");
        let mut found = Some(facts);
        let decide = || {
            let presented = resource.present(&request, scopes.base()).unwrap();
            let facts = found.take().filter(|_| presented.digest() == SecretDigest::of(SECRET));
            presented.decide(facts, &required, &order, now).unwrap()
        };
        assert_eq!(allocations(decide), 1);
    }
}

#[test]
fn a_warm_call_of_a_client_allocates_nothing() {
    let record = serde_json::json!({
        "resource": "https://rs.example/mcp",
        "server": {
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
            "iss_advertised": true,
        },
        "client": {"client_id": "c", "method": "none"},
        "tokens": {"access_token": SECRET, "refresh_token": "r", "expires_at": 1000,
                   "requested": SCOPES[0], "granted": SCOPES[0]},
    });
    let session = Session::restore(serde_json::from_value(record).unwrap()).unwrap();
    let url = "https://RS.example:443/mcp?x=1";
    assert_eq!(allocations(|| session.authorization(url).unwrap()), 0);
    assert_eq!(allocations(|| session.authorization("https://evil.example/mcp")), 0);
    let now = UnixTime::from_secs(900);
    assert_eq!(allocations(|| assert!(!session.is_stale(now) && !session.has_expired(now))), 0);
    let mut headers = HeaderMap::with_capacity(8);
    assert_eq!(allocations(|| assert!(session.authorize(url, &mut headers))), 0);
    let (operation, ledger, policy) = (Operation::tool("t"), Ledger::new(), Policy::default());
    let answer = HeaderMap::new();
    for status in [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NOT_FOUND] {
        let judged = || {
            let answer = (status, &answer);
            judge(Some(&session), &ledger, &policy, &operation, Tried::default(), answer)
        };
        assert_eq!(allocations(|| assert_eq!(judged(), Verdict::Accepted)), 0);
    }
}

#[tokio::test]
async fn a_token_introspected_just_before_costs_no_allocation() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = r#"{"active":true,"client_id":"c","sub":"alice","exp":1000}"#;
    let answer = async move || ([(CONTENT_TYPE, "application/json")], body);
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let (issuer, client_id) = (Issuer::parse(&url).unwrap(), ClientId::parse("rs").unwrap());
    let verifier = IntrospectionVerifier::new(issuer, client_id, Secret::new("s")).unwrap();
    let verifier = verifier.with_endpoint(EndpointUrl::parse(&url).unwrap());
    let (token, now) = (Secret::new("t"), UnixTime::from_secs(900));
    let asked = verifier.verify(&token, now).await.unwrap().unwrap();
    let mut known = None;
    assert_eq!(allocations(|| known = now_or_never(verifier.verify(&token, now)).unwrap()), 0);
    assert!(Arc::ptr_eq(&known.unwrap(), &asked), "the same facts, not a copy");
}

#[tokio::test]
async fn a_jwt_verified_just_before_costs_no_allocation() {
    let keys = include_bytes!("../../crates/client-auth/tests/keys/public.json");
    let pem = include_str!("../../crates/client-auth/tests/keys/es256.pem");
    let issuer = Issuer::parse("https://as.example").unwrap();
    let claims = serde_json::json!({"iss": issuer, "sub": "alice", "client_id": "c", "exp": 1000});
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, pem).unwrap();
    let token = key.sign_claims("at+jwt", &claims).unwrap();
    let keys = JwkSet::from_json(keys).unwrap();
    let verifier = JwtVerifier::with_keys(issuer, &keys).unwrap();
    let now = UnixTime::from_secs(900);
    let verified = verifier.verify(&token, now).await.unwrap().unwrap();
    let mut known = None;
    assert_eq!(allocations(|| known = now_or_never(verifier.verify(&token, now)).unwrap()), 0);
    assert!(Arc::ptr_eq(&known.unwrap(), &verified), "the same facts, not a copy");
}
