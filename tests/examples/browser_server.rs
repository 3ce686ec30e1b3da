//! Authorization server with a login form and two users, for the browser of `cargo xtask browser`.
//!
//! It prints its issuer and ends with its standard input.
#![expect(clippy::print_stdout, reason = "whoever started it reads the issuer there")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use authorization_server::{
    ClientRecord, Config, MemoryStore, STYLE, ServerKey, ServerKeys, Store as _,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use client_auth::ClientAuthRecord;
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, Login, LoginResult, LoginStatus, User, serve,
};
use oauth_types::{
    ClientId, Entropy, FormPairs, FormWriter, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret,
    SecretDigest, Subject, UnixTime,
};
use tokio::net::TcpListener;

const PASSWORD: &str = "correct horse";
const USERS: [(&str, &str); 2] = [("alice", "Alice Example"), ("bob", "Bob Example")];
const LONG_SCOPE: &str = "organization:administration:everything-organization:administration:everything-\
                          organization:administration:everything-organization:administration:everything-";

/// Logged-in users by the digest of the value in the cookie.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<BTreeMap<SecretDigest, User>>>);

impl Sessions {
    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split("; "));
        let id = pairs.find_map(|pair| pair.strip_prefix("session="))?;
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.get(&Secret::new(id).digest()).cloned()
    }

    /// A session under a fresh identifier, whatever the browser had.
    fn start(&self, user: User) -> String {
        let id = random().into_secret();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.digest(), user);
        format!("session={}; Path=/; HttpOnly; SameSite=Lax", id.expose())
    }
}

impl Login for Sessions {
    async fn status(&self, headers: &HeaderMap, return_to: &str) -> LoginResult {
        Ok(match self.user(headers) {
            Some(user) => LoginStatus::LoggedIn(user),
            None => {
                let mut form = FormWriter::new();
                form.append("to", return_to);
                LoginStatus::Redirect(format!("/login?{}", form.as_str()))
            }
        })
    }
}

/// Returns the login form, which keeps its parameters in the URL instead of the page.
fn form(status: StatusCode, problem: &str) -> Response {
    let problem = match problem {
        "" => String::new(),
        problem => format!("<p class=\"note\" role=\"alert\">{problem}</p>"),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Log in</title><style>{STYLE}</style></head><body><main><h1>Log in</h1>{problem}\
         <form method=\"post\">\
         <label>Name <input name=\"name\" autocomplete=\"username\" required></label>\
         <label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\
         <button class=\"allow\">Log in</button></form></main></body></html>"
    );
    // No `form-action`: the login ends where the client is, when nothing has to be asked.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(page)).into_response()
}

async fn login(
    State(sessions): State<Sessions>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get("sec-fetch-site").is_none_or(|site| site != "same-origin") {
        return form(StatusCode::FORBIDDEN, "Log in on this page.");
    }
    let value = |text: &[u8], name| {
        let form = FormPairs::parse(text).ok()?;
        form.value(name).ok().flatten().map(str::to_owned)
    };
    let name = value(&body, "name").unwrap_or_default();
    let password = Secret::new(value(&body, "password").unwrap_or_default());
    let user = USERS.iter().find(|(subject, _)| *subject == name);
    let user = user.filter(|_| password.matches(PASSWORD));
    let (Some((_, name)), Ok(subject)) = (user, Subject::try_from(name)) else {
        return form(StatusCode::UNAUTHORIZED, "Name or password is wrong.");
    };
    let to = value(query.unwrap_or_default().as_bytes(), "to").unwrap_or_default();
    // A path of this server, and none that a browser takes for another host.
    let to = if to.starts_with("/authorize?") { to } else { "/login".to_owned() };
    let cookie = sessions.start(User::new(subject, *name));
    (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, to)]).into_response()
}

#[expect(clippy::disallowed_methods, reason = "a program draws its own random values")]
#[expect(clippy::expect_used, reason = "without them it cannot go on")]
fn random() -> Entropy<32> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("random bytes");
    Entropy::new(bytes)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let resource = ResourceUri::parse("https://notes.example/mcp")?;
    let scopes = ScopeSet::parse(&format!("files:read files:write {LONG_SCOPE}"))?;
    let keys = ServerKeys::new(ServerKey::new(1, random()));
    let config = Config::new(Issuer::parse(&issuer)?, vec![resource], scopes, keys)?
        .with_remembered_consent(Duration::from_secs(3600));
    let sessions = Sessions::default();
    let store = Arc::new(MemoryStore::default());
    // A client that is known by the address of a document.
    let published = ClientRecord::pre_registered(
        &config,
        ClientId::parse("https://client.example/oauth.json")?,
        ClientAuthRecord::public(),
        vec![RedirectUri::parse("https://notes.example/cb")?],
        UnixTime::from_secs(0),
    )?;
    store.create_client(published, UnixTime::from_secs(0)).await?;
    let router = AuthorizationServer::new(config, store, sessions.clone())
        .describe("files:read", "See your files")
        .describe("files:write", "Create and change your files")
        .router();
    let ask = || async { form(StatusCode::OK, "") };
    let router =
        router.merge(Router::new().route("/login", get(ask).post(login)).with_state(sessions));
    println!("{issuer}");
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    serve(listener, router, ConnectionLimits::default(), async { drop(parent.await) }).await;
    Ok(())
}
