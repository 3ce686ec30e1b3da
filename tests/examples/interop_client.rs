//! Our client against a peer that speaks OAuth in its own way (`tests/peers`): login, refresh, step-up.
//!
//! `interop_client URL` asks the MCP server at `URL` for `tools/list`, waits until its token is dead, asks again,
//! and then for `tools/call`, which needs a scope that `tools/list` does not. A step fails when it cost more than
//! it has to: a visit of the browser for a login or a step-up, none for a refresh. `interop_client URL foreign` logs in
//! and steps up at a `protected-server`, whose authorization server the peer is, and speaks by rmcp.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to who runs it")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use client_flow::{BrowserRequest, ClientConfig, CredentialKey, StoredCredentials, Tokens};
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore, McpTransport, MemoryCredentials, StoreError, UserAgent,
    VisitError,
};
use oauth_types::{BearerChallenge, FormWriter, RedirectUri};
use reqwest::{Request, Url};
use rmcp::model::CallToolRequestParams;
use rmcp::service::ServiceExt as _;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

/// For all steps together; a peer that hangs ends here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pages and redirects of one visit.
const MAX_HOPS: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a program reads its arguments")]
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let outcome = tokio::time::timeout(PATIENCE, async {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [server] => run(server).await,
            [server, "foreign"] => foreign(server).await,
            _ => bail!("usage: interop_client URL [foreign]"),
        }
    });
    let outcome = outcome.await;
    match outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not finished in {PATIENCE:?}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(server: &str) -> anyhow::Result<()> {
    let user = User::new()?;
    let (visits, kept) = (Arc::clone(&user.visits), Kept::default());
    let config = ClientConfig::new("Interop", user.redirect_uri.clone());
    let client =
        AuthorizedClient::builder(server, config).user(user).store(kept.clone()).build()?;
    let asked = |expected| {
        let visits = visits.load(Ordering::SeqCst);
        ensure!(visits == expected, "the browser was sent away {visits} times, not {expected}");
        Ok(())
    };

    ask(&client, "tools/list").await.context("tools/list, which needs a login")?;
    asked(1)?;
    ensure!(kept.grants("mcp:read")?, "mcp:read was not granted");
    ensure!(!kept.grants("mcp:write")?, "mcp:write was granted at once: no step-up to test");
    println!("login      tools/list answered after one visit");

    refresh(&client, &kept, "tools/list").await?;
    asked(1)?;
    println!("refresh    tools/list answered with a new token and no visit");

    // Some servers tell a dead token without the scope by a 401, some by a 403.
    die(&client, &kept.tokens()?, "tools/list").await?;
    ask(&client, "tools/call").await.context("tools/call, which needs a step-up")?;
    asked(2)?;
    ensure!(kept.grants("mcp:write")?, "mcp:write was not granted");
    ensure!(kept.grants("mcp:read")?, "the step-up lost mcp:read");
    println!("step-up    tools/call answered after one more visit, and mcp:read is still granted");

    refresh(&client, &kept, "tools/call").await?;
    asked(2)?;
    ensure!(kept.grants("mcp:write")?, "the refresh lost mcp:write");
    println!("refresh    tools/call answered with a new token and no visit");
    Ok(())
}

/// The tools of `protected-server`, by the token of a foreign authorization server.
async fn foreign(server: &str) -> anyhow::Result<()> {
    let user = User::new()?;
    let (visits, kept) = (Arc::clone(&user.visits), Kept::default());
    let config = ClientConfig::new("Interop", user.redirect_uri.clone());
    let client =
        AuthorizedClient::builder(server, config).user(user).store(kept.clone()).build()?;
    let transport = StreamableHttpClientTransport::with_client(
        McpTransport::new(client.clone()),
        StreamableHttpClientTransportConfig::with_uri(server),
    );
    let mcp = rmcp::model::ClientConfig::default().serve(transport).await?;
    let files = mcp.call_tool(CallToolRequestParams::new("list-files")).await?;
    ensure!(serde_json::to_string(&files)?.contains("readme.txt"), "{files:?}");
    ensure!(visits.load(Ordering::SeqCst) == 1, "the login did not cost one visit");
    println!("login      list-files answered after one visit");

    // What the client meets next, seen with its token.
    let mut request = call(&client, "tools/call")?;
    let token = kept.tokens()?.access_token.header_value("Bearer ");
    request.headers_mut().insert(AUTHORIZATION, token.context("an unusable token")?);
    let refused = reqwest::Client::new().execute(request).await?;
    ensure!(refused.status() == StatusCode::FORBIDDEN, "{}", refused.status());
    let challenge = BearerChallenge::from_headers(refused.headers()).context("no challenge")?;
    let scope = challenge.scope.context("no scope in the challenge")?;
    ensure!(scope.as_str() == "files:read files:write", "{scope}");
    ensure!(!kept.grants("files:write")?, "files:write was granted at once: no step-up to test");

    let mut write = CallToolRequestParams::new("write-file");
    let file = serde_json::json!({"name": "foreign.txt", "content": "abc"});
    write.arguments = file.as_object().cloned();
    let written = mcp.call_tool(write).await?;
    ensure!(serde_json::to_string(&written)?.contains("3 bytes"), "{written:?}");
    ensure!(visits.load(Ordering::SeqCst) == 2, "the step-up did not cost one visit");
    ensure!(kept.grants("files:read")? && kept.grants("files:write")?, "a scope is missing");
    println!("step-up    write-file answered after one more visit");
    mcp.cancel().await?;
    Ok(())
}

/// Waits until the token that is kept is dead, and asks again.
async fn refresh(client: &AuthorizedClient, kept: &Kept, method: &str) -> anyhow::Result<()> {
    let old = kept.tokens()?;
    ensure!(old.refresh_token.is_some(), "the server gave no refresh token");
    die(client, &old, method).await?;
    ask(client, method).await.with_context(|| format!("{method} with a dead token"))?;
    let is_new = kept.tokens()?.access_token.expose() != old.access_token.expose();
    ensure!(is_new, "a dead token was not replaced");
    Ok(())
}

/// Shows a token by itself until the server no longer takes it.
async fn die(client: &AuthorizedClient, tokens: &Tokens, method: &str) -> anyhow::Result<()> {
    let bearer = tokens.access_token.header_value("Bearer ").context("an unusable token")?;
    let http = reqwest::Client::new();
    loop {
        let mut request = call(client, method)?;
        request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        if http.execute(request).await?.status() == StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn call(client: &AuthorizedClient, method: &str) -> anyhow::Result<Request> {
    let params = serde_json::json!({"name": "write", "arguments": {}});
    let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let post = reqwest::Client::new()
        .post(client.server_url())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream");
    Ok(post.body(body.to_string()).build()?)
}

async fn ask(client: &AuthorizedClient, method: &str) -> anyhow::Result<()> {
    let response = client.execute(call(client, method)?).await?;
    let (status, body) = (response.status(), response.text().await?);
    ensure!(status == StatusCode::OK && body.contains("\"result\""), "{status}: {body}");
    Ok(())
}

/// Keeps credentials, and the last record where the steps can see it.
#[derive(Clone, Default)]
struct Kept {
    store: Arc<MemoryCredentials>,
    last: Arc<Mutex<Option<StoredCredentials>>>,
}

impl Kept {
    fn tokens(&self) -> anyhow::Result<Tokens> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().and_then(|record| record.tokens.clone()).context("no tokens were saved")
    }

    fn grants(&self, scope: &str) -> anyhow::Result<bool> {
        Ok(self.tokens()?.granted.is_some_and(|granted| granted.contains(scope)))
    }
}

impl CredentialStore for Kept {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        self.store.load(key)
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(record.clone());
        self.store.save(record)
    }
}

/// Agrees to everything: follows redirects, keeps cookies, and submits the one form of each page.
struct User {
    http: reqwest::Client,
    redirect_uri: RedirectUri,
    /// By name only: all pages are one server's, and it tells its own cookies apart.
    cookies: Mutex<BTreeMap<String, String>>,
    visits: Arc<AtomicUsize>,
}

impl User {
    fn new() -> anyhow::Result<Self> {
        let none = reqwest::redirect::Policy::none();
        Ok(Self {
            http: reqwest::Client::builder().redirect(none).build()?,
            // Without a listener, because the redirect is read instead of followed.
            redirect_uri: RedirectUri::parse("http://127.0.0.1:3118/callback")?,
            cookies: Mutex::default(),
            visits: Arc::default(),
        })
    }

    async fn agree(&self, url: &str) -> anyhow::Result<String> {
        let mut next = Request::new(Method::GET, Url::parse(url)?);
        for _ in 0..MAX_HOPS {
            let page = self.send(next).await?;
            let (status, base) = (page.status(), page.url().clone());
            if status.is_redirection() {
                let to = page.headers().get(LOCATION).context("a redirect to nowhere")?;
                let to = base.join(to.to_str()?)?;
                if to.as_str().starts_with(self.redirect_uri.as_str()) {
                    return Ok(to.into());
                }
                next = Request::new(Method::GET, to);
                continue;
            }
            let html = page.text().await?;
            ensure!(status.is_success(), "{base} answered {status}: {html}");
            next = submit(&html, &base).with_context(|| format!("no form at {base}: {html}"))?;
        }
        bail!("no end after {MAX_HOPS} pages")
    }

    async fn send(&self, mut request: Request) -> anyhow::Result<reqwest::Response> {
        let held = || self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: Vec<_> = held().iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert(COOKIE, shown.join("; ").parse()?);
        let response = self.http.execute(request).await?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().and_then(|pair| pair.split_once('='));
            held().extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Ok(response)
    }
}

/// The request that a browser makes of the page's form; empty fields get a word.
fn submit(html: &str, base: &Url) -> Option<Request> {
    let (_, form) = html.split_once("<form")?;
    let mut fields = FormWriter::new();
    for input in form.split("<input").skip(1).filter_map(|rest| rest.split('>').next()) {
        let value = between(input, "value=\"").unwrap_or("somebody");
        fields.append(between(input, "name=\"")?, value);
    }
    let mut request = Request::new(Method::POST, base.join(between(form, "action=\"")?).ok()?);
    let urlencoded = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, urlencoded);
    *request.body_mut() = Some(fields.finish().into());
    Some(request)
}

/// Returns the text between `before` and the next quotation mark.
fn between<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('"').next()
}

impl UserAgent for User {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            self.visits.fetch_add(1, Ordering::SeqCst);
            self.agree(visit.url()).await.map_err(|error| {
                eprintln!("the visit failed: {error:#}");
                VisitError::NoBrowser
            })
        })
    }
}
