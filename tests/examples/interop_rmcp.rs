//! rmcp with its own OAuth as a client of our servers: `interop_rmcp URL` logs in, calls a tool, steps up, calls
//! another, and refreshes. `cargo xtask interop` runs it.
//!
//! | what the servers meet here                                                      | whose |
//! |---------------------------------------------------------------------------------|-------|
//! | its own first request, before any of the host, to find the challenge            | SDK   |
//! | protected resource metadata first at the URL of the challenge                   | SDK   |
//! | registered as a public client, with the grants it uses                          | SDK   |
//! | `iss` is compared, and a wrong `state` is unknown                               | SDK   |
//! | asks for all that the resource lists, unless told to follow the challenge       | host  |
//! | a 403 is an error of the call: the host asks for the union, then calls again    | host  |
//! | refreshes 30 seconds early: a token of three is old, so before each call       | SDK   |

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports to who runs it")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use oauth_types::FormWriter;
use reqwest::Url;
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, ClientConfig};
use rmcp::service::{RunningService, ServiceError, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthorizationCallback, AuthorizationRequest, OAuthState, WWWAuthenticateParams,
};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransportConfig, StreamableHttpError,
};
use serde_json::{Value, json};

/// For all steps together; what hangs ends here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of an access token of the servers that it is run against.
const LIFETIME: Duration = Duration::from_secs(3);
const REDIRECT: &str = "http://127.0.0.1:3118/callback";

type Mcp = RunningService<RoleClient, ClientConfig>;

#[tokio::main]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a program reads its arguments")]
    let server = std::env::args().nth(1).unwrap_or_default();
    let outcome = tokio::time::timeout(PATIENCE, run(&server)).await;
    match outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not finished in {PATIENCE:?}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(server: &str) -> Result<()> {
    let mut oauth = OAuthState::new(server, None).await?;
    let request =
        AuthorizationRequest::new(REDIRECT).with_client_name("rmcp").with_initial_scope_selection();
    oauth.start_authorization(request).await?;
    let callback = allow(&oauth.get_authorization_url().await?).await?;
    oauth.handle_callback_url(&callback).await?;
    let manager = oauth.into_authorization_manager().context("not authorized after the login")?;
    let scopes = manager.get_current_scopes().await;
    ensure!(scopes == ["files:read"], "{scopes:?} were granted: no step-up to test");
    let client = AuthClient::new(reqwest::Client::new(), manager);
    let config = StreamableHttpClientTransportConfig::with_uri(server);
    let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
    let mcp = ClientConfig::default().serve(transport).await?;
    let tools = mcp.list_all_tools().await?.len();
    let files = call(&mcp, "list-files", json!({})).await?;
    ensure!(tools == 2 && files.contains("readme.txt"), "{tools} tools, {files}");
    println!("login      list-files answered after one visit");

    let write = json!({"name": "rmcp.txt", "content": "abc"});
    let refused = call(&mcp, "write-file", write.clone()).await.err();
    let refused = refused.context("write-file was allowed without its scope")?;
    let challenge = challenge(&refused).with_context(|| format!("no challenge: {refused:#}"))?;
    let challenge = WWWAuthenticateParams::parse(challenge, &Url::parse(server)?);
    ensure!(challenge.is_insufficient_scope(), "{challenge:?}");
    let missing = challenge.scope.context("the challenge names no scope")?;
    {
        let manager = client.auth_manager.lock().await;
        let url = manager.request_scope_upgrade(&missing).await?;
        let back = AuthorizationCallback::from_redirect_url(&allow(&url).await?)?;
        let (code, state, issuer) = (&back.code, &back.csrf_token, back.issuer.as_deref());
        manager.exchange_code_for_token_with_issuer(code, state, issuer).await?;
        let mut scopes = manager.get_current_scopes().await;
        scopes.sort();
        ensure!(scopes == ["files:read", "files:write"], "{scopes:?}");
    }
    let written = call(&mcp, "write-file", write.clone()).await?;
    ensure!(written.contains("3 bytes"), "{written}");
    println!("step-up    write-file answered after one more visit, which the host made");

    let old = client.auth_manager.lock().await.get_access_token().await?;
    tokio::time::sleep(LIFETIME).await;
    call(&mcp, "write-file", write).await?;
    let new = client.auth_manager.lock().await.get_access_token().await?;
    ensure!(old != new, "a dead token was not replaced");
    println!("refresh    write-file answered with a new token and no visit");
    mcp.cancel().await?;
    Ok(())
}

async fn call(mcp: &Mcp, tool: &'static str, arguments: Value) -> Result<String> {
    let mut request = CallToolRequestParams::new(tool);
    request.arguments = arguments.as_object().cloned();
    let answer = mcp.call_tool(request).await?;
    Ok(serde_json::to_string(&answer.content)?)
}

/// Returns the server's reason of a refusal from an error of rmcp.
fn challenge(error: &anyhow::Error) -> Option<&str> {
    let ServiceError::TransportSend(error) = error.downcast_ref()? else { return None };
    error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>()?.auth_challenge()
}

/// Opens our consent page, presses "Allow", and answers with where the browser is sent.
async fn allow(url: &str) -> Result<String> {
    let none = reqwest::redirect::Policy::none();
    let http = reqwest::Client::builder().redirect(none).build()?;
    let page = http.get(url).send().await?;
    let base = page.url().clone();
    let cookie = page.headers().get(SET_COOKIE).context("no cookie")?.to_str()?.to_owned();
    let html = page.text().await?;
    let between = |before| html.split_once(before).and_then(|(_, rest)| rest.split('"').next());
    let mut form = FormWriter::new();
    let transaction = between("name=\"transaction\" value=\"").with_context(|| html.clone())?;
    form.append("transaction", transaction).append("decision", "allow");
    let answer = http
        .post(base.join(between("action=\"").context("no form")?)?)
        .header(COOKIE, cookie.split(';').next().unwrap_or_default())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.finish())
        .send()
        .await?;
    let location = answer.headers().get(LOCATION).context("no redirect")?.to_str()?;
    ensure!(location.starts_with(REDIRECT), "sent to {location}");
    Ok(location.to_owned())
}
