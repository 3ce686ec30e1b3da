//! Our client against servers that answer what a file says.

use std::sync::{Arc, Mutex};

use client_auth::ClientCredentials;
use client_flow::{BrowserRequest, ClientConfig, CredentialKey, ServerProfile, StoredCredentials};
use futures::future::BoxFuture;
use mcp_authz_reqwest::{AuthorizedClient, CredentialStore, StoreError, UserAgent, VisitError};
use oauth_types::{
    AuthMethod, ClientId, EndpointUrl, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret,
};
use serde_json::Value;

use crate::fake::{Exchange, Fakes};
use crate::script::{Failed, known, text, texts};

const MEMBERS: [&str; 15] = [
    "source",
    "as_of",
    "what",
    "assumed",
    "server",
    "routes",
    "challenge",
    "callback",
    "calls",
    "one_origin",
    "otherwise",
    "pinned_issuer",
    "pre_registered",
    "profile",
    "expect",
];

const REDIRECT: &str = "http://127.0.0.1:3118/callback";

/// Everything that one case led to.
pub(crate) struct Outcome {
    pub(crate) file: Value,
    /// The origin of the MCP server.
    pub(crate) rs: String,
    /// A status or an error's text for each call.
    pub(crate) calls: Vec<Result<u16, String>>,
    /// The `Debug` form of the last error, which names its variant.
    pub(crate) debug: String,
    pub(crate) exchanges: Vec<Exchange>,
    /// Pages that the user was shown, each with the number of its call.
    pub(crate) visits: Vec<(usize, String)>,
    /// Records that the client stored, in order.
    pub(crate) records: Vec<StoredCredentials>,
    /// Time at which the last call ended.
    pub(crate) ended: u64,
}

impl Outcome {
    /// Tells whether a request, the page that the user was shown included, has this text.
    pub(crate) fn asked(&self, part: &str) -> bool {
        self.exchanges.iter().any(|exchange| exchange.request.contains(part))
            || self.visits.iter().any(|(_, url)| url.contains(part))
    }

    /// The text of the last error.
    pub(crate) fn error(&self) -> &str {
        self.calls.iter().rev().find_map(|call| call.as_ref().err()).map_or("", String::as_str)
    }

    pub(crate) fn last(&self) -> String {
        match self.calls.last() {
            Some(Ok(status)) => status.to_string(),
            _ => "error".to_owned(),
        }
    }
}

/// The user's browser: comes back with what the file says.
struct Scripted {
    redirect_uri: RedirectUri,
    callback: String,
    call: Arc<Mutex<usize>>,
    visits: Arc<Mutex<Vec<(usize, String)>>>,
}

impl UserAgent for Scripted {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            let url = visit.url().to_owned();
            let query = url.split_once('?').map_or("", |(_, query)| query);
            let state = query.split('&').find_map(|pair| pair.strip_prefix("state="));
            let callback = self.callback.replace("{state}", state.unwrap_or_default());
            self.visits.lock().unwrap().push((*self.call.lock().unwrap(), url));
            Ok(format!("{REDIRECT}{callback}"))
        })
    }
}

/// A store that remembers every record it was given.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<StoredCredentials>>>);

impl CredentialStore for Kept {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let records = self.0.lock().unwrap();
        let found = records.iter().rev().find(|record| record.key() == *key).cloned();
        Box::pin(async { Ok(found) })
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.lock().unwrap().push(record.clone());
        Box::pin(async { Ok(()) })
    }
}

#[expect(clippy::disallowed_methods, reason = "the client under test uses the system's clock")]
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

fn parsed<T, E: core::fmt::Debug>(value: Result<T, E>, what: &str) -> Result<T, Failed> {
    value.map_err(|error| format!("{what}: {error:?}"))
}

fn config(file: &Value, url: &str) -> Result<ClientConfig, Failed> {
    let mut config = ClientConfig::new("Test", parsed(RedirectUri::parse(REDIRECT), "redirect")?);
    if let Some(issuer) = text(file, "pinned_issuer") {
        let resource = parsed(ResourceUri::canonical(url), "server")?;
        config.pinned_issuers.push((resource, parsed(Issuer::parse(issuer), "pinned_issuer")?));
    }
    let given = &file["pre_registered"];
    if !given.is_null() {
        known(given, "pre_registered", &["issuer", "client_id", "client_secret", "method"])?;
        let issuer = parsed(Issuer::parse(text(given, "issuer").unwrap_or_default()), "issuer")?;
        let id = parsed(ClientId::parse(text(given, "client_id").unwrap_or_default()), "id")?;
        let secret = text(given, "client_secret").map(Secret::new);
        let method = text(given, "method").map(AuthMethod::parse);
        let credentials = ClientCredentials::choose(id, secret, method.as_ref(), &[]);
        config.pre_registered.push((issuer, parsed(credentials, "credentials")?));
    }
    profiled(config, &file["profile"])
}

/// The configuration with the exceptions that a file makes for one issuer.
fn profiled(config: ClientConfig, given: &Value) -> Result<ClientConfig, Failed> {
    if given.is_null() {
        return Ok(config);
    }
    known(given, "profile", &["issuer", "of", "scope", "metadata", "authorization_endpoint"])?;
    let issuer = parsed(Issuer::parse(text(given, "issuer").unwrap_or_default()), "issuer")?;
    let mut profile = match text(given, "of") {
        Some("entra") => ServerProfile::entra(),
        Some("cognito") => ServerProfile::cognito(),
        None => ServerProfile::new(),
        Some(_) => return Err("the profile is of no known server".into()),
    };
    if let Some(url) = text(given, "metadata") {
        profile = profile.with_metadata_at(parsed(EndpointUrl::parse(url), "metadata")?);
    }
    if let Some(url) = text(given, "authorization_endpoint") {
        let url = parsed(EndpointUrl::parse(url), "authorization_endpoint")?;
        profile = profile.with_authorization_endpoint_at(url);
    }
    if let Some(scope) = text(given, "scope") {
        profile = profile.with_scope(parsed(ScopeSet::parse(scope), "scope")?);
    }
    Ok(config.with_server_profile(issuer, profile))
}

async fn call(client: &AuthorizedClient) -> Result<u16, (String, String)> {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let request = client.post(client.server_url()).body(message);
    let request = request
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    match client.send(request).await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err((error.to_string(), format!("{error:?}"))),
    }
}

/// Makes the calls of a file.
pub(crate) async fn outcome(file: &str) -> Result<Outcome, Failed> {
    let fakes = Fakes::start(file).await?;
    let file = &fakes.file;
    known(file, "the file", &MEMBERS)?;
    known(&file["expect"], "expect", &["last", "has", "has_not", "says"])?;
    let url = fakes.server_url();
    let (call_number, visits) = (Arc::default(), Arc::<Mutex<Vec<_>>>::default());
    let agent = Scripted {
        redirect_uri: parsed(RedirectUri::parse(REDIRECT), "redirect")?,
        callback: text(file, "callback").unwrap_or("?code=the-code&state={state}").to_owned(),
        call: Arc::clone(&call_number),
        visits: Arc::clone(&visits),
    };
    let kept = Kept::default();
    let builder = AuthorizedClient::builder(&url, config(file, &url)?);
    let client = parsed(builder.user(agent).store(kept.clone()).build(), "client")?;
    let (mut calls, mut debug) = (Vec::new(), String::new());
    for number in 0..file["calls"].as_u64().unwrap_or(1) {
        *call_number.lock().unwrap() = usize::try_from(number).unwrap_or_default();
        calls.push(call(&client).await.map_err(|(said, shown)| {
            debug = shown;
            said
        }));
    }
    let (visits, records) = (visits.lock().unwrap().clone(), kept.0.lock().unwrap().clone());
    let (rs, exchanges) = (fakes.rs.clone(), fakes.seen());
    Ok(Outcome { file: file.clone(), rs, calls, debug, exchanges, visits, records, ended: now() })
}

/// Checks what the file expects, and what holds for every file.
pub(crate) fn check(outcome: &Outcome) -> Result<(), Failed> {
    let expect = &outcome.file["expect"];
    let told = || format!("{:?} {}", outcome.calls, outcome.debug);
    match text(expect, "last") {
        Some(last) if last != outcome.last() => {
            return Err(format!("the last call is not {last}: {}", told()));
        }
        // Either is right, and nothing else.
        None if !["200", "error"].contains(&outcome.last().as_str()) => {
            return Err(format!("neither 200 nor an error: {}", told()));
        }
        _ => {}
    }
    if let Some(part) = texts(&expect["has"]).into_iter().find(|part| !outcome.asked(part)) {
        return Err(format!("no request has `{part}`: {}", told()));
    }
    if let Some(part) = texts(&expect["has_not"]).into_iter().find(|part| outcome.asked(part)) {
        return Err(format!("a request has `{part}`"));
    }
    let unsaid = |part: &&str| !outcome.error().contains(*part);
    if let Some(part) = texts(&expect["says"]).into_iter().find(unsaid) {
        return Err(format!("the error does not say `{part}`: {}", told()));
    }
    nothing_guessed(outcome)?;
    lifetime(outcome)?;
    shown_twice_at_most(outcome)
}

/// A text that is JSON with an access token at its top, or a form with one.
fn answered(exchange: &Exchange) -> Option<Value> {
    let is_success = (200..300).contains(&exchange.status);
    let json: Value = serde_json::from_str(&exchange.body).ok()?;
    (is_success && json["access_token"].is_string()).then_some(json)
}

/// Tokens are stored only where an answer has one at its top.
fn nothing_guessed(outcome: &Outcome) -> Result<(), Failed> {
    let has_token = outcome.records.iter().any(|record| record.tokens.is_some());
    let was_given = outcome.exchanges.iter().any(|exchange| answered(exchange).is_some());
    if has_token && !was_given {
        Err("a token was stored, and none was given".into())
    } else {
        Ok(())
    }
}

/// The lifetime of the last token answer is the one that is stored, where it has one reading.
fn lifetime(outcome: &Outcome) -> Result<(), Failed> {
    let given = outcome.exchanges.iter().rev().find_map(answered);
    let seconds = given.as_ref().map(|answer| &answer["expires_in"]).and_then(|seconds| {
        seconds.as_u64().or_else(|| seconds.as_str().and_then(|text| text.parse().ok()))
    });
    let (Some(seconds), "200") = (seconds, &*outcome.last()) else { return Ok(()) };
    let tokens = outcome.records.last().and_then(|record| record.tokens.as_ref());
    let until = tokens.and_then(|tokens| tokens.expires_at).map(|at| at.as_secs());
    let is_it = until.is_some_and(|until| (outcome.ended + seconds).abs_diff(until) <= 30);
    if is_it { Ok(()) } else { Err(format!("the token does not live {seconds} s")) }
}

/// A registration that two logins have failed with is not shown to the user again.
fn shown_twice_at_most(outcome: &Outcome) -> Result<(), Failed> {
    if !outcome.file["pre_registered"].is_null() {
        return Ok(());
    }
    let mut failed = std::collections::HashMap::<&str, usize>::new();
    for (call, url) in &outcome.visits {
        let pairs = url.split(['?', '&']);
        let client = pairs.clone().find_map(|pair| pair.strip_prefix("client_id="));
        let failures = failed.entry(client.unwrap_or_default()).or_default();
        if *failures >= 2 {
            return Err("a page was shown for a client that two logins had failed with".into());
        }
        if outcome.calls.get(*call).is_none_or(Result::is_err) {
            *failures += 1;
        }
    }
    Ok(())
}
