//! One client's way from an address to a tool, in the requests that its file describes.

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use oauth_types::{BearerChallenge, CodeVerifier, EndpointUrl, Entropy, ScopeSet};
use serde_json::Value;

use crate::our::{Ours, Settings};
use crate::script::{Failed, encode, headers, text, texts};
use crate::visitor::{Answer, Visitor, told};

/// A client while it gets in.
struct Run<'a> {
    file: &'a Value,
    ours: Ours,
    visitor: Visitor,
    server: Server,
    client_id: String,
    client_secret: Option<String>,
}

/// The endpoints and lists that the client has read.
#[derive(Default)]
struct Server {
    resource: String,
    scopes_listed: String,
    scope_challenged: String,
    authorize: String,
    token: String,
    register: Option<String>,
    issuer: String,
}

/// Goes the whole way; an error says at which request it ended.
pub(crate) async fn run(file: &Value, settings: Settings) -> Result<(), Failed> {
    let gets_all_at_once = settings.scopes_challenged.is_some();
    let ours = Ours::start(settings).await?;
    let (visitor, server) = (Visitor::new(), Server::default());
    let mut run =
        Run { file, ours, visitor, server, client_id: String::new(), client_secret: None };
    run.discover().await?;
    run.introduce().await?;
    let scope = match text(file, "scope") {
        Some("challenge") => run.server.scope_challenged.clone(),
        Some("listed") => run.server.scopes_listed.clone(),
        Some("none") => String::new(),
        other => return Err(format!("`scope` is {other:?}")),
    };
    let mut tokens = run.login(&scope).await?;
    run.expect_call(&tokens, "read", 200).await?;
    let write = run.call(Some(&tokens), "write").await?;
    let may_step_up = file["steps_up"] == true;
    match write.status {
        200 => {}
        403 if may_step_up => {
            let challenge = challenge(&write.headers)?;
            let scope = challenge.scope.as_ref().map_or("", ScopeSet::as_str);
            tokens = run.login(scope).await?;
            run.expect_call(&tokens, "write", 200).await?;
        }
        403 if !gets_all_at_once => {
            text(file, "why").ok_or("a client that cannot step up says why")?;
        }
        _ => return Err(format!("tools/call write: {}", told(&write.text()))),
    }
    if file["refreshes"] == true {
        let refresh = text(&tokens, "refresh_token").ok_or("no refresh token")?;
        let form = format!("grant_type=refresh_token&refresh_token={}", encode(refresh));
        let refreshed = run.token(form).await?;
        run.expect_call(&refreshed, "read", 200).await?;
    }
    if file["stale"] == true { run.notices_stale().await } else { Ok(()) }
}

fn challenge(headers: &HeaderMap) -> Result<BearerChallenge, Failed> {
    BearerChallenge::from_headers(headers).ok_or("no Bearer challenge".to_owned())
}

fn json(answer: &Answer, status: u16, what: &str) -> Result<Value, Failed> {
    if answer.status != status {
        return Err(format!("{what}: {}", told(&answer.text())));
    }
    serde_json::from_str(&answer.body).map_err(|_| format!("{what} is no JSON"))
}

impl Run<'_> {
    /// Sends a request as this client does: with its headers, and from a browser after a preflight.
    async fn send(
        &mut self,
        method: Method,
        url: &str,
        mut lines: Vec<(String, String)>,
        body: Option<String>,
    ) -> Result<Answer, Failed> {
        lines.extend(headers(self.file));
        let Some(origin) = text(self.file, "origin") else {
            return self.visitor.send(method, url, &lines, body).await;
        };
        self.preflight(origin, &method, url, &lines).await?;
        lines.push(("origin".to_owned(), origin.to_owned()));
        let answer = self.visitor.send(method, url, &lines, body).await?;
        allows(&answer, origin).map_err(|failed| format!("{url}: {failed}"))?;
        let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
        let is_read = !answer.headers.contains_key(WWW_AUTHENTICATE)
            || exposed.to_ascii_lowercase().contains("www-authenticate");
        if is_read { Ok(answer) } else { Err(format!("{url}: the challenge is not exposed")) }
    }

    async fn preflight(
        &mut self,
        origin: &str,
        method: &Method,
        url: &str,
        lines: &[(String, String)],
    ) -> Result<(), Failed> {
        let is_simple = |(name, value): &&(String, String)| {
            name == "accept" || (name == "content-type" && value.contains("urlencoded"))
        };
        let names: Vec<_> =
            lines.iter().filter(|line| !is_simple(line)).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let asked = [
            ("origin".to_owned(), origin.to_owned()),
            ("access-control-request-method".to_owned(), method.to_string()),
            ("access-control-request-headers".to_owned(), names.join(",")),
        ];
        let answer = self.visitor.send(Method::OPTIONS, url, &asked, None).await?;
        let fails = |failed: String| format!("preflight of {url}: {failed}");
        allows(&answer, origin).map_err(fails)?;
        let allowed = answer.header("access-control-allow-headers").unwrap_or_default();
        let allowed: Vec<_> =
            allowed.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        // Fetch: `*` stands for every header but `authorization`.
        let is_allowed = |name: &String| {
            allowed.contains(name)
                || (name != "authorization" && allowed.iter().any(|it| it == "*"))
        };
        match names.iter().find(|name| !is_allowed(name)) {
            _ if !(200..300).contains(&answer.status) => Err(fails(answer.status.to_string())),
            Some(name) => Err(fails(format!("`{name}` is not allowed"))),
            None => Ok(()),
        }
    }

    /// Calls a tool.
    async fn call(&mut self, tokens: Option<&Value>, tool: &str) -> Result<Answer, Failed> {
        let message = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}},
        });
        let mut lines = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
        if !headers(self.file).iter().any(|(name, _)| name == "accept") {
            lines.push(("accept".to_owned(), "application/json, text/event-stream".to_owned()));
        }
        if let Some(token) = tokens.and_then(|tokens| text(tokens, "access_token")) {
            lines.push((AUTHORIZATION.to_string(), format!("Bearer {token}")));
        }
        let url = format!("{}/mcp", self.ours.rs);
        self.send(Method::POST, &url, lines, Some(message.to_string())).await
    }

    async fn expect_call(&mut self, tokens: &Value, tool: &str, status: u16) -> Result<(), Failed> {
        let answer = self.call(Some(tokens), tool).await?;
        if answer.status == status {
            return Ok(());
        }
        Err(format!("tools/call {tool}: {}", told(&answer.text())))
    }

    /// Meets the 401, and reads the documents that it leads to.
    async fn discover(&mut self) -> Result<(), Failed> {
        let refused = self.call(None, "read").await?;
        if refused.status != 401 {
            return Err(format!("no 401 without a token: {}", told(&refused.text())));
        }
        let challenge = challenge(&refused.headers)?;
        let scope = challenge.scope.as_ref().map_or("", ScopeSet::as_str);
        self.server.scope_challenged = scope.to_owned();
        let mut issuer = self.ours.rs.clone();
        if text(self.file, "discovery") != Some("own origin") {
            let url = challenge.resource_metadata.as_ref().map_or("", EndpointUrl::as_str);
            let answer = self.send(Method::GET, url, Vec::new(), None).await?;
            let document = json(&answer, 200, "resource metadata")?;
            issuer = texts(&document["authorization_servers"]).join(" ");
            self.server.scopes_listed = texts(&document["scopes_supported"]).join(" ");
            self.server.resource = text(&document, "resource").unwrap_or_default().to_owned();
        }
        let url = format!("{issuer}/.well-known/oauth-authorization-server");
        let answer = self.send(Method::GET, &url, Vec::new(), None).await?;
        let document = json(&answer, 200, "authorization server metadata")?;
        let server = &mut self.server;
        let endpoint = |name| text(&document, name).map(str::to_owned);
        server.issuer = endpoint("issuer").unwrap_or_default();
        server.authorize = endpoint("authorization_endpoint").ok_or("no authorization endpoint")?;
        server.token = endpoint("token_endpoint").ok_or("no token endpoint")?;
        server.register = endpoint("registration_endpoint");
        let lists = |name: &str, value: &str| texts(&document[name]).contains(&value);
        if !lists("code_challenge_methods_supported", "S256") {
            return Err("PKCE is not listed".into());
        }
        let is_offered = document["client_id_metadata_document_supported"] == true
            && lists("token_endpoint_auth_methods_supported", "none");
        if !self.file["document"].is_null() && !is_offered {
            return Err("client metadata documents are not offered".into());
        }
        Ok(())
    }

    /// Registers, or is known by its document.
    async fn introduce(&mut self) -> Result<(), Failed> {
        if let Some(url) = text(&self.file["document"], "url") {
            url.clone_into(&mut self.client_id);
            return Ok(());
        }
        let url = self.server.register.clone().ok_or("no registration endpoint")?;
        let kind = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
        let body = self.file["registration"].to_string();
        let answer = self.send(Method::POST, &url, kind, Some(body)).await?;
        let registered = json(&answer, 201, "registration")?;
        text(&registered, "client_id").ok_or("no client_id")?.clone_into(&mut self.client_id);
        self.client_secret = text(&registered, "client_secret").map(str::to_owned);
        if self.client_secret.is_none() && !self.file["authenticates"].is_null() {
            return Err("no client_secret".into());
        }
        Ok(())
    }

    /// Logs in with this scope, and returns the token answer.
    async fn login(&mut self, scope: &str) -> Result<Value, Failed> {
        let verifier = CodeVerifier::new(Entropy::new([5; 32]));
        let redirect = text(self.file, "redirect_uri").unwrap_or_default();
        let scope = match text(self.file, "adds") {
            Some(more) => format!("{scope} {more}"),
            None => scope.to_owned(),
        };
        let mut url = format!(
            "{}?response_type=code&client_id={}&redirect_uri={}&code_challenge={}\
             &code_challenge_method=S256&state=a%2Fb%3D",
            self.server.authorize,
            encode(&self.client_id),
            encode(redirect),
            verifier.challenge().as_str(),
        );
        if !scope.trim().is_empty() {
            url.push_str(&format!("&scope={}", encode(scope.trim())));
        }
        url.push_str(&self.resource());
        let answer = self.visitor.agree(&url, &[]).await?;
        let back = answer.leads_to().filter(|url| url.as_str().starts_with(redirect));
        let back = back.ok_or_else(|| format!("authorize: {}", told(&answer.text())))?;
        let value = |name| {
            let mut pairs = back.query_pairs();
            pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
        };
        let code = value("code").ok_or_else(|| format!("authorize: {back}"))?;
        if value("state").as_deref() != Some("a/b=")
            || value("iss") != Some(self.server.issuer.clone())
        {
            return Err(format!("`state` or `iss` is not the one expected: {back}"));
        }
        let form = format!(
            "grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}",
            encode(&code),
            encode(redirect),
            verifier.as_secret().expose(),
        );
        self.token(form).await
    }

    fn resource(&self) -> String {
        match text(self.file, "resource") {
            Some("published") => format!("&resource={}", encode(&self.server.resource)),
            _ => String::new(),
        }
    }

    /// Asks the token endpoint, authenticated as this client does.
    async fn token(&mut self, mut form: String) -> Result<Value, Failed> {
        let mut lines =
            vec![(CONTENT_TYPE.to_string(), "application/x-www-form-urlencoded".to_owned())];
        form.push_str(&self.resource());
        let id = encode(&self.client_id);
        match (text(self.file, "authenticates"), self.client_secret.clone()) {
            (Some("client_secret_post"), Some(secret)) => {
                form.push_str(&format!("&client_id={id}&client_secret={}", encode(&secret)));
            }
            (Some("client_secret_basic" | "registered"), Some(secret)) => {
                let pair = format!("{id}:{}", encode(&secret));
                let pair = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pair);
                lines.push((AUTHORIZATION.to_string(), format!("Basic {pair}")));
            }
            _ => form.push_str(&format!("&client_id={id}")),
        }
        let url = self.server.token.clone();
        let answer = self.send(Method::POST, &url, lines, Some(form)).await?;
        let tokens = json(&answer, 200, "token")?;
        text(&tokens, "access_token").ok_or("no access_token")?;
        Ok(tokens)
    }

    /// Asks, as mcp-remote does before it opens a browser, whether its registration is still known: an error in JSON
    /// that names the registration endpoint and says "client is not registered" has it register anew.
    async fn notices_stale(&mut self) -> Result<(), Failed> {
        let url = format!(
            "{}?response_type=code&client_id=gone&redirect_uri=http%3A%2F%2Flocalhost%3A3334%2Foauth%2Fcallback",
            self.server.authorize
        );
        let accept = [("accept".to_owned(), "application/json".to_owned())];
        let answer = self.visitor.send(Method::GET, &url, &accept, None).await?;
        let error = json(&answer, 400, "authorize of a client that is gone")?;
        let described = text(&error, "error_description").unwrap_or_default();
        if described.contains("client is not registered")
            && error["registration_endpoint"].is_string()
        {
            return Ok(());
        }
        Err(format!("a client that is gone is not told so: {error}"))
    }
}

/// Fetch's check of an answer from another origin.
fn allows(answer: &Answer, origin: &str) -> Result<(), Failed> {
    match answer.header("access-control-allow-origin") {
        Some(allowed) if allowed == "*" || allowed == origin => Ok(()),
        other => Err(format!("{} allows the origin {other:?}", answer.status)),
    }
}
