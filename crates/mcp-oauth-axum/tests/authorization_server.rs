//! The authorization server over HTTP, as a client and a browser meet it.

#![cfg(test)]

use std::sync::Arc;

use authorization_server::{Config, MemoryStore, RefreshKey, RefreshKeys, Store as _};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    COOKIE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_oauth_axum::{AuthorizationServer, Clock, DemoLogin};
use oauth_types::{
    CodeVerifier, Entropy, FormPairs, FormWriter, Issuer, ResourceUri, ScopeSet, SecretDigest,
    UnixTime,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const REDIRECT: &str = "https://app.example/cb?keep=a%20b";
const NOW: UnixTime = UnixTime::from_secs(1_000_000);

struct Server {
    router: Router,
    store: Arc<MemoryStore>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    fn html(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A parameter of the redirect.
    fn redirect(&self, name: &'static str) -> Option<String> {
        let form = FormPairs::parse(self.header(LOCATION).split_once('?')?.1.as_bytes()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    fn cookie(&self) -> String {
        self.header(SET_COOKIE).split(';').next().unwrap().to_owned()
    }

    fn transaction(&self) -> String {
        let (_, rest) = self.html().split_once("name=\"transaction\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

fn server_at(issuer: &str) -> Server {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let keys = RefreshKeys::new(RefreshKey::new(1, &Entropy::new([7; 32])));
    let config = Config::new(Issuer::parse(issuer).unwrap(), vec![resource], scopes, keys).unwrap();
    let store = Arc::new(MemoryStore::default());
    let router = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
        .describe("files:read", "See your <files>")
        .with_clock(Clock::new(|| NOW))
        .router();
    Server { router, store }
}

fn server() -> Server {
    server_at("https://as.example")
}

impl Server {
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn method(&self, method: Method, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.method(Method::GET, path).await
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn form(&self, path: &str, form: &str) -> Answer {
        self.post(path, "application/x-www-form-urlencoded", form.to_owned()).await
    }

    async fn register(&self, metadata: Value) -> Answer {
        self.post("/register", "application/json", metadata.to_string()).await
    }

    async fn client(&self) -> String {
        let answer = self
            .register(json!({
                "redirect_uris": [REDIRECT],
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
            }))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.json()["client_id"].as_str().unwrap().to_owned()
    }

    async fn consent(&self, transaction: &str, cookie: &str, decision: &str) -> Answer {
        let request = Request::post("/authorize/consent")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie)
            .body(Body::from(format!("transaction={transaction}&decision={decision}")));
        self.send(request.unwrap()).await
    }

    /// A login up to the code.
    async fn code(&self, client_id: &str) -> String {
        let page = self.get(&authorize(client_id, &[])).await;
        assert_eq!(page.status, StatusCode::OK);
        let answer = self.consent(&page.transaction(), &page.cookie(), "allow").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        answer.redirect("code").unwrap()
    }
}

fn verifier() -> CodeVerifier {
    CodeVerifier::new(Entropy::new([5; 32]))
}

/// An authorization request with some parameters changed; an empty value leaves one out.
fn authorize(client_id: &str, changes: &[(&str, &str)]) -> String {
    let challenge = verifier().challenge();
    let mut form = FormWriter::new();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT),
        ("state", "st/ate"),
        ("scope", "files:read"),
        ("resource", "https://rs.example/mcp"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ] {
        let changed = changes.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        match changed.unwrap_or(value) {
            "" => {}
            value => drop(form.append(name, value)),
        }
    }
    format!("/authorize?{}", form.as_str())
}

fn redeem(client_id: &str, code: &str) -> String {
    let verifier = verifier();
    let verifier = verifier.as_secret().expose();
    format!(
        "grant_type=authorization_code&client_id={client_id}&code={code}&code_verifier={verifier}"
    )
}

#[tokio::test]
async fn a_meta_1_a_meta_2_a_meta_3_a_meta_4_sec_196_metadata_says_what_the_endpoints_obey() {
    let server = server();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = server.get(path).await;
        assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        let metadata = answer.json();
        assert_eq!(metadata["issuer"], "https://as.example");
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        assert_eq!(metadata["token_endpoint"], "https://as.example/token");
        assert_eq!(
            metadata["grant_types_supported"],
            json!(["authorization_code", "refresh_token"])
        );
    }
    let answer = server.method(Method::POST, "/.well-known/oauth-authorization-server").await;
    assert_eq!(
        (answer.status, answer.header(ALLOW)),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD")
    );
}

#[tokio::test]
async fn a_meta_1_an_issuer_with_a_path_keeps_it_everywhere() {
    let server = server_at("https://as.example/t1");
    for path in [
        "/.well-known/oauth-authorization-server/t1",
        "/.well-known/openid-configuration/t1",
        "/t1/.well-known/openid-configuration",
    ] {
        assert_eq!(server.get(path).await.json()["token_endpoint"], "https://as.example/t1/token");
    }
    assert_eq!(
        server.method(Method::GET, "/t1/token").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn a_authz_1_sec_060_sec_061_sec_062_until_both_are_right_every_error_is_a_page() {
    let server = server();
    let client = server.client().await;
    for url in [
        "/authorize".to_owned(),
        authorize("nobody", &[("redirect_uri", "https://evil.example/canary")]),
        authorize(&client, &[("redirect_uri", "https://evil.example/canary")]),
        authorize(&client, &[("redirect_uri", "https://evil.example"), ("response_type", "x")]),
        format!("{}&client_id={client}", authorize(&client, &[])),
        format!("{}&redirect_uri=x", authorize(&client, &[])),
    ] {
        let answer = server.get(&url).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(!answer.headers.contains_key(LOCATION), "{url}");
        assert!(!answer.html().contains("canary") && !answer.html().contains("iss"), "{url}");
        assert!(answer.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    }
    // The only registered one is used when none is named.
    let answer = server.get(&authorize(&client, &[("redirect_uri", "")])).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_authz_3_a_authz_4_sec_016_sec_037_sec_065_later_errors_redirect_with_state_and_iss() {
    let server = server();
    let client = server.client().await;
    for (name, value, code) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "admin", "invalid_scope"),
        ("resource", "https://other.example/mcp", "invalid_target"),
    ] {
        let answer = server.get(&authorize(&client, &[(name, value)])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert!(answer.header(LOCATION).starts_with(&format!("{REDIRECT}&error={code}")));
        assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
        assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
    }
}

#[tokio::test]
async fn a_authz_9_sec_095_get_and_post_and_nothing_else() {
    let server = server();
    let client = server.client().await;
    let url = authorize(&client, &[]);
    let form = url.split_once('?').unwrap().1;
    assert_eq!(server.form("/authorize", form).await.status, StatusCode::OK);
    let answer = server.method(Method::PUT, &url).await;
    assert_eq!(
        (answer.status, answer.header(ALLOW)),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, POST")
    );
    let answer = server.get("/token").await;
    assert_eq!((answer.status, answer.header(ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(server.get("/authorize/consent").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_authz_10_sec_102_sec_116_sec_189_sec_191_sec_193_the_consent_page_is_safe_to_show() {
    let server = server();
    let answer = server
        .register(json!({
            "redirect_uris": ["http://127.0.0.1/cb"],
            "token_endpoint_auth_method": "none",
            "client_name": "<img onerror=x>\u{202e}\u{200b}Claude",
        }))
        .await;
    let client = answer.json()["client_id"].as_str().unwrap().to_owned();
    let redirect = ("redirect_uri", "http://127.0.0.1:51004/cb");
    let page = server.get(&authorize(&client, &[redirect])).await;
    let html = page.html();
    assert!(html.contains("&lt;img onerror=x&gt;Claude") && !html.contains("<img"));
    assert!(html.contains("127.0.0.1") && html.contains("https://rs.example/mcp"));
    assert!(html.contains("See your &lt;files&gt;"));
    assert!(html.contains("own computer"), "a warning for loopback-only clients");
    assert!(!html.contains("<script") && !html.contains("src="));
    let policy = page.header(CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"));
    assert!(policy.contains("form-action 'self' http://127.0.0.1:51004;"));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.header(http::header::X_FRAME_OPTIONS), "DENY");
    assert_eq!(page.header(http::header::REFERRER_POLICY), "no-referrer");
    assert_eq!(page.header(CACHE_CONTROL), "no-store");
    assert!(!page.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    let cookie = page.header(SET_COOKIE);
    assert!(cookie.starts_with("__Host-mcp-oauth="));
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
}

#[tokio::test]
async fn a_authz_11_sec_103_sec_186_sec_188_a_page_is_answered_once_by_its_own_browser() {
    let server = server();
    let client = server.client().await;
    let page = server.get(&authorize(&client, &[])).await;
    let (transaction, cookie) = (page.transaction(), page.cookie());
    let other = server.get(&authorize(&client, &[])).await.cookie();
    for foreign in ["", "__Host-mcp-oauth=x", &other] {
        let answer = server.consent(&transaction, foreign, "allow").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign}");
        assert!(!answer.headers.contains_key(LOCATION));
    }
    assert_eq!(server.consent("guess", &cookie, "allow").await.status, StatusCode::BAD_REQUEST);
    let answer = server.consent(&transaction, &cookie, "allow").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header(LOCATION).starts_with(&format!("{REDIRECT}&code=")));
    assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let again = server.consent(&transaction, &cookie, "allow").await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn sec_187_sec_188_two_tabs_are_two_transactions_and_no_is_no() {
    let server = server();
    let client = server.client().await;
    let first = server.get(&authorize(&client, &[])).await;
    let url = authorize(&client, &[("state", "two"), ("scope", "files:write")]);
    let request = Request::get(&url).header(COOKIE, first.cookie()).body(Body::empty()).unwrap();
    let second = server.send(request).await;
    assert_eq!(first.cookie(), second.cookie());
    let denied = server.consent(&second.transaction(), &first.cookie(), "deny").await;
    assert_eq!(denied.redirect("error").as_deref(), Some("access_denied"));
    assert_eq!(denied.redirect("state").as_deref(), Some("two"));
    let allowed = server.consent(&first.transaction(), &first.cookie(), "allow").await;
    assert_eq!(allowed.redirect("state").as_deref(), Some("st/ate"));
}

#[tokio::test]
async fn a_token_1_a_token_6_sec_101_a_code_gives_tokens_for_its_resource() {
    let server = server();
    let client = server.client().await;
    let code = server.code(&client).await;
    let answer = server.form("/token", &redeem(&client, &code)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "files:read");
    // A-TOKEN-8
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    let record = server.store.access(&digest, NOW).await.unwrap().unwrap();
    assert_eq!(record.resource.as_str(), "https://rs.example/mcp");
    assert_eq!(record.subject, "demo");
}

#[tokio::test]
async fn a_token_8_the_audience_is_the_authorized_resource() {
    let server = server();
    let client = server.client().await;
    let code = server.code(&client).await;
    let body = format!("{}&resource=https%3A%2F%2Fevil.example", redeem(&client, &code));
    assert_eq!(server.form("/token", &body).await.error(), "invalid_target");
    let twice = "&resource=https%3A%2F%2Frs.example%2Fmcp".repeat(2);
    let body = format!("{}{twice}", redeem(&client, &code));
    assert_eq!(server.form("/token", &body).await.error(), "invalid_target");
    assert_eq!(server.form("/token", &redeem(&client, &code)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_2_sec_027_a_second_use_ends_what_the_first_gave() {
    let server = server();
    let client = server.client().await;
    let code = server.code(&client).await;
    let tokens = server.form("/token", &redeem(&client, &code)).await.json();
    let again = server.form("/token", &redeem(&client, &code)).await;
    assert_eq!(
        (again.status, again.error()),
        (StatusCode::BAD_REQUEST, "invalid_grant".to_owned())
    );
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    assert!(server.store.access(&digest, NOW).await.unwrap().is_none());
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let body = format!("grant_type=refresh_token&client_id={client}&refresh_token={refresh}");
    assert_eq!(server.form("/token", &body).await.error(), "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_1_sec_028_64_redemptions_of_one_code_have_one_winner() {
    let server = Arc::new(server());
    let client = server.client().await;
    let code = server.code(&client).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (server, body) = (Arc::clone(&server), redeem(&client, &code));
            tokio::spawn(async move { server.form("/token", &body).await.status })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            StatusCode::OK => won += 1,
            status => assert_eq!(status, StatusCode::BAD_REQUEST),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_token_3_sec_042_sec_043_sec_044_a_verifier_that_does_not_match() {
    let server = server();
    let client = server.client().await;
    let code = server.code(&client).await;
    let body = redeem(&client, &code);
    let right = verifier().as_secret().expose().to_owned();
    for (wrong, error) in [
        ("x".repeat(43), "invalid_grant"),
        ("x".repeat(42), "invalid_request"),
        (String::new(), "invalid_grant"),
    ] {
        let answer = server.form("/token", &body.replace(&right, &wrong)).await;
        assert_eq!(answer.error(), error, "{wrong}");
    }
    assert_eq!(server.form("/token", &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_7_sec_096_unknown_and_foreign_grants() {
    let server = server();
    let client = server.client().await;
    let answer = server.form("/token", &format!("grant_type=password&client_id={client}")).await;
    assert_eq!(answer.error(), "unsupported_grant_type");
    let only_codes = server
        .register(json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}))
        .await;
    let client = only_codes.json()["client_id"].as_str().unwrap().to_owned();
    let body = format!("grant_type=refresh_token&refresh_token=x&client_id={client}");
    assert_eq!(server.form("/token", &body).await.error(), "unauthorized_client");
    // And such a client gets no refresh token.
    let code = server.code(&client).await;
    let tokens = server.form("/token", &redeem(&client, &code)).await.json();
    assert!(tokens.get("refresh_token").is_none());
}

#[tokio::test]
async fn a_token_10_sec_083_sec_091_sec_095_sec_098_only_small_forms_in_the_body_are_read() {
    let server = server();
    let json = server.post("/token", "application/json", "{}").await;
    assert_eq!(
        (json.status, json.error()),
        (StatusCode::BAD_REQUEST, "invalid_request".to_owned())
    );
    let request = Request::post("/token").body(Body::from("grant_type=x")).unwrap();
    assert_eq!(server.send(request).await.status, StatusCode::BAD_REQUEST);
    let in_query = server.form("/token?client_secret=canary", "grant_type=x&client_id=c").await;
    assert_eq!(in_query.error(), "invalid_request");
    let twice = server.form("/token", "grant_type=x&client_id=c&client_id=c").await;
    assert_eq!(twice.error(), "invalid_request");
    for path in ["/token", "/revoke", "/register"] {
        let huge = server.form(path, &"x".repeat(10 * 1024 * 1024)).await;
        assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(huge.header(CONTENT_TYPE).starts_with("application/json"));
    }
    let many = server.form("/token", &"a=1&".repeat(10_000)).await;
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_authn_5_sec_080_an_unknown_client_and_a_wrong_secret_read_the_same() {
    let server = server();
    let answer = server.register(json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post"})).await;
    let client = answer.json()["client_id"].as_str().unwrap().to_owned();
    let body = |client: &str| {
        format!("grant_type=authorization_code&code=x&client_id={client}&client_secret=wrong")
    };
    let known = server.form("/token", &body(&client)).await;
    let unknown = server.form("/token", &body("nobody")).await;
    assert_eq!(known.status, StatusCode::UNAUTHORIZED);
    assert!(known.header(WWW_AUTHENTICATE).starts_with("Basic"));
    assert_eq!(
        (known.status, &known.headers, &known.body),
        (unknown.status, &unknown.headers, &unknown.body)
    );
}

#[tokio::test]
async fn a_reg_1_sec_051_sec_057_sec_058_sec_015_sec_113_redirect_uris_that_are_refused() {
    let server = server();
    for bad in [
        json!(["javascript:alert(1)"]),
        json!(["http://app.example/cb"]),
        json!(["https://app.example/cb#f"]),
        json!(["https://u@app.example/cb"]),
        json!(["https://app.example/cb?iss=https://evil.example"]),
        json!(["https://good.example/cb", "data:x"]),
        json!([]),
        json!([null]),
        json!("https://app.example/cb"),
        json!(null),
    ] {
        let answer = server.register(json!({"redirect_uris": bad})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(answer.error(), "invalid_redirect_uri", "{bad}");
    }
    assert_eq!(server.register(json!({})).await.error(), "invalid_redirect_uri");
}

#[tokio::test]
async fn a_reg_2_sec_114_sec_115_the_answer_says_what_was_accepted() {
    let server = server();
    let sent = json!({"redirect_uris": [REDIRECT], "client_id": "mine", "client_secret": "mine"});
    let answer = server.register(sent).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let json = answer.json();
    assert_eq!(json["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(json["client_secret_expires_at"], 0);
    assert_eq!(json["client_id_issued_at"], 1_000_000);
    assert_eq!(json["redirect_uris"], json!([REDIRECT]));
    assert!(json["client_secret"].as_str().unwrap().len() == 43);
    let client_id = json["client_id"].as_str().unwrap();
    assert!(client_id != "mine" && !client_id.starts_with("https://"));
    let public = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"});
    let json = server.register(public).await.json();
    assert!(json.get("client_secret").is_none() && json.get("client_secret_expires_at").is_none());
}

#[tokio::test]
async fn a_reg_3_sec_109_sec_110_sec_111_sec_112_metadata_that_is_refused() {
    let server = server();
    for (name, bad) in [
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!("unknown")),
        ("grant_types", json!(["password"])),
        ("grant_types", json!(["refresh_token"])),
        ("response_types", json!(["token"])),
        ("logo_uri", json!("http://169.254.169.254/")),
        ("jwks_uri", json!("http://localhost:6379")),
        ("client_uri", json!("file:///etc/passwd")),
        ("jwks", json!({"keys": [{"kty": "EC", "d": "secret"}]})),
        ("client_name", json!(7)),
    ] {
        let mut metadata = json!({"redirect_uris": [REDIRECT]});
        metadata[name] = bad.clone();
        let answer = server.register(metadata).await;
        assert_eq!(answer.error(), "invalid_client_metadata", "{name} {bad}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
    let answer = server.post("/register", "application/json", deep).await;
    assert_eq!(answer.error(), "invalid_client_metadata");
}

#[tokio::test]
async fn a_rev_1_sec_178_sec_179_revocation_ends_the_family_of_its_owner_only() {
    let server = server();
    let (client, other) = (server.client().await, server.client().await);
    let code = server.code(&client).await;
    let tokens = server.form("/token", &redeem(&client, &code)).await.json();
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let digest = SecretDigest::of(access);
    for body in [
        format!("client_id={other}&token={refresh}"),
        format!("client_id={other}&token={access}"),
        format!("client_id={client}&token=unknown&token_type_hint=nonsense"),
    ] {
        assert_eq!(server.form("/revoke", &body).await.status, StatusCode::OK);
        assert!(server.store.access(&digest, NOW).await.unwrap().is_some());
    }
    let missing = server.form("/revoke", &format!("client_id={client}")).await;
    assert_eq!(missing.error(), "invalid_request");
    let nobody = server.form("/revoke", &format!("client_id=nobody&token={refresh}")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    let body = format!("client_id={client}&token={refresh}");
    assert_eq!(server.form("/revoke", &body).await.status, StatusCode::OK);
    assert!(server.store.access(&digest, NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn sec_102_programs_on_web_pages_may_call_the_token_endpoint_and_nothing_with_a_cookie() {
    let server = server();
    let preflight = |path: &str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", "https://spa.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap()
    };
    let answer = server.send(preflight("/token")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let answer = server.send(preflight("/authorize/consent")).await;
    assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}
