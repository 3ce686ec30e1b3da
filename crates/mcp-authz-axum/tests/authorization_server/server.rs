//! The server under test, and how a client and a browser speak to it.

use std::sync::Arc;

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{
    AuthorizationServer, Clock, DemoLogin, Login, LoginResult, LoginStatus, User,
};
use oauth_types::{
    CodeVerifier, Entropy, FormPairs, FormWriter, Issuer, ResourceUri, ScopeSet, Subject, UnixTime,
    encode_component,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const REDIRECT: &str = "https://app.example/cb?keep=a%20b";
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_000_000);

pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) store: Arc<MemoryStore>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn html(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A parameter of the redirect.
    pub(crate) fn redirect(&self, name: &'static str) -> Option<String> {
        let form = FormPairs::parse(self.header(LOCATION).split_once('?')?.1.as_bytes()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    pub(crate) fn cookie(&self) -> String {
        self.header(SET_COOKIE).split(';').next().unwrap().to_owned()
    }

    pub(crate) fn transaction(&self) -> String {
        let (_, rest) = self.html().split_once("name=\"transaction\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

pub(crate) fn config(issuer: &str) -> Config {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    Config::new(Issuer::parse(issuer).unwrap(), vec![resource], scopes, keys).unwrap()
}

/// Believes a cookie `user` that is not empty; sends everybody else to `/login`, with the encoded address to return to.
pub(crate) struct Cookies;

impl Login for Cookies {
    async fn status(&self, headers: &HeaderMap, return_to: &str) -> LoginResult {
        Ok(match cookie(headers, "user").filter(|name| !name.is_empty()) {
            Some(name) => LoginStatus::LoggedIn(User::new(Subject::parse(&name).unwrap(), name)),
            None => LoginStatus::Redirect(format!("/login?to={}", encode_component(return_to))),
        })
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value.to_owned()).next()
}

/// A server that believes the cookie `user`.
pub(crate) fn serve(config: Config) -> Server {
    server_with(config, Cookies, || NOW)
}

pub(crate) fn server_of(config: Config) -> Server {
    server_with(config, DemoLogin, || NOW)
}

pub(crate) fn server_with(
    config: Config,
    login: impl Login,
    now: impl Fn() -> UnixTime + Send + Sync + 'static,
) -> Server {
    let store = Arc::new(MemoryStore::default());
    let router = AuthorizationServer::new(config, Arc::clone(&store), login)
        .describe("files:read", "See your <files>")
        .with_clock(Clock::new(now))
        .router();
    Server { router, store }
}

pub(crate) fn server() -> Server {
    server_of(config("https://as.example"))
}

impl Server {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn method(&self, method: Method, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.method(Method::GET, path).await
    }

    pub(crate) async fn get_as(&self, user: &str, url: &str) -> Answer {
        let request = Request::get(url).header(COOKIE, format!("user={user}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn answer_as(&self, user: &str, page: &Answer, decision: &str) -> Answer {
        let cookies = format!("user={user}; {}", page.cookie());
        self.consent(&page.transaction(), &cookies, decision).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn form(&self, path: &str, form: &str) -> Answer {
        self.post(path, "application/x-www-form-urlencoded", form.to_owned()).await
    }

    pub(crate) async fn register(&self, metadata: Value) -> Answer {
        self.post("/register", "application/json", metadata.to_string()).await
    }

    pub(crate) async fn client(&self) -> String {
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

    pub(crate) async fn consent(&self, transaction: &str, cookie: &str, decision: &str) -> Answer {
        self.decide("/authorize/consent", transaction, cookie, decision).await
    }

    pub(crate) async fn decide(
        &self,
        path: &str,
        transaction: &str,
        cookie: &str,
        decision: &str,
    ) -> Answer {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie)
            .body(Body::from(format!("transaction={transaction}&decision={decision}")));
        self.send(request.unwrap()).await
    }

    /// A login up to the code.
    pub(crate) async fn code(&self, client_id: &str) -> String {
        let page = self.get(&authorize(client_id, &[])).await;
        assert_eq!(page.status, StatusCode::OK);
        let answer = self.consent(&page.transaction(), &page.cookie(), "allow").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        answer.redirect("code").unwrap()
    }
}

pub(crate) fn verifier() -> CodeVerifier {
    CodeVerifier::new(Entropy::new([5; 32]))
}

/// An authorization request with some parameters changed; an empty value leaves one out.
pub(crate) fn authorize(client_id: &str, changes: &[(&str, &str)]) -> String {
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
        ("prompt", ""),
    ] {
        let changed = changes.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        match changed.unwrap_or(value) {
            "" => {}
            value => drop(form.append(name, value)),
        }
    }
    format!("/authorize?{}", form.as_str())
}

pub(crate) fn redeem(client_id: &str, code: &str) -> String {
    let verifier = verifier();
    let verifier = verifier.as_secret().expose();
    format!(
        "grant_type=authorization_code&client_id={client_id}&code={code}&code_verifier={verifier}"
    )
}
