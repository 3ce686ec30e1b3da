//! What a client sends to the two servers, and its user's browser. No library: this page is all of it.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oauth_types::{CodeVerifier, FormPairs, FormWriter};
use serde_json::{Value, json};

use crate::server::Setup;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Nobody listens there: the redirect is read, not followed.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
const LIST_TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{
    "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// Whether it was done, nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unanswered {
    /// No answer came.
    Cut,
    /// "Try again later": 503.
    Later,
}

/// What a token endpoint gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What became of a code, or of a refresh token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Grant {
    Tokens(Tokens),
    /// `invalid_grant`
    Refused,
}

impl Grant {
    /// The tokens, if there are any.
    pub(crate) fn tokens(self) -> Option<Tokens> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Refused => None,
        }
    }
}

/// A page that waits for its user's answer.
pub(crate) struct Page {
    cookie: String,
    transaction: String,
}

/// One client, and the browser of its user.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    authorization_at: String,
    mcp_at: String,
    mcp_url: String,
    challenge: String,
    verifier: String,
}

impl Client {
    pub(crate) fn of(setup: &Setup) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let verifier = CodeVerifier::parse(&"v".repeat(43)).unwrap();
        Self {
            http: Http::builder(TokioExecutor::new()).build(connector),
            authorization_at: setup.authorization_at(),
            mcp_at: setup.mcp_at(),
            mcp_url: setup.mcp_url().to_owned(),
            challenge: verifier.challenge().as_str().to_owned(),
            verifier: verifier.as_secret().expose().to_owned(),
        }
    }

    /// The identifier of a new client.
    pub(crate) async fn register(&self) -> Result<String, Unanswered> {
        let metadata = json!({"client_name": "Processes", "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"]});
        let request = Request::post(format!("{}/register", self.authorization_at))
            .header(CONTENT_TYPE, "application/json")
            .body(metadata.to_string().into())
            .unwrap();
        let (status, _, body) = self.send(request).await?;
        assert_eq!(status, StatusCode::CREATED, "{body:?}");
        Ok(member(&body, "client_id"))
    }

    /// Opens the page that asks the user.
    pub(crate) async fn ask(&self, client_id: &str) -> Result<Page, Unanswered> {
        let mut form = FormWriter::new();
        form.append("response_type", "code").append("client_id", client_id);
        form.append("redirect_uri", REDIRECT_URI).append("scope", "files:read");
        form.append("code_challenge", &self.challenge).append("code_challenge_method", "S256");
        form.append("resource", &self.mcp_url).append("state", "s");
        let url = format!("{}/authorize?{}", self.authorization_at, form.as_str());
        let request = Request::get(url).body(Full::default()).unwrap();
        let (status, headers, body) = self.send(request).await?;
        let html = std::str::from_utf8(&body).unwrap();
        assert_eq!(status, StatusCode::OK, "{html}");
        let (_, rest) = html.split_once("name=\"transaction\" value=\"").expect("a form");
        let transaction = rest.split('"').next().unwrap().to_owned();
        let cookie = text(&headers, SET_COOKIE).split(';').next().unwrap().to_owned();
        Ok(Page { cookie, transaction })
    }

    /// Says yes; the code that comes of it.
    pub(crate) async fn agree(&self, page: &Page) -> Result<String, Unanswered> {
        let mut form = FormWriter::new();
        form.append("transaction", &page.transaction).append("decision", "allow");
        let request = Request::post(format!("{}/authorize/consent", self.authorization_at))
            .header(COOKIE, &page.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish().into())
            .unwrap();
        let (status, headers, body) = self.send(request).await?;
        assert_eq!(status, StatusCode::SEE_OTHER, "{body:?}");
        let (_, query) = text(&headers, LOCATION).split_once('?').expect("a callback");
        let callback = FormPairs::parse(query.as_bytes()).unwrap();
        match callback.value("code").unwrap() {
            Some(code) => Ok(code.to_owned()),
            None => {
                assert_eq!(callback.value("error").unwrap(), Some("temporarily_unavailable"));
                Err(Unanswered::Later)
            }
        }
    }

    /// A login from its page to its code.
    pub(crate) async fn log_in(&self, client_id: &str) -> Result<String, Unanswered> {
        self.agree(&self.ask(client_id).await?).await
    }

    pub(crate) async fn redeem(&self, client_id: &str, code: &str) -> Result<Grant, Unanswered> {
        let mut form = FormWriter::new();
        form.append("grant_type", "authorization_code").append("code", code);
        form.append("code_verifier", &self.verifier).append("redirect_uri", REDIRECT_URI);
        self.token(client_id, form).await
    }

    pub(crate) async fn refresh(&self, client_id: &str, token: &str) -> Result<Grant, Unanswered> {
        let mut form = FormWriter::new();
        form.append("grant_type", "refresh_token").append("refresh_token", token);
        self.token(client_id, form).await
    }

    async fn token(&self, client_id: &str, form: FormWriter) -> Result<Grant, Unanswered> {
        let (status, body) = self.post("/token", client_id, form).await?;
        if status == StatusCode::OK {
            let (access, refresh) = (member(&body, "access_token"), member(&body, "refresh_token"));
            return Ok(Grant::Tokens(Tokens { access, refresh }));
        }
        let error = member(&body, "error");
        assert_eq!((status, &*error), (StatusCode::BAD_REQUEST, "invalid_grant"));
        Ok(Grant::Refused)
    }

    /// Ends a refresh token and all that belongs to it.
    pub(crate) async fn revoke(&self, client_id: &str, token: &str) -> Result<(), Unanswered> {
        let mut form = FormWriter::new();
        form.append("token", token);
        let (status, body) = self.post("/revoke", client_id, form).await?;
        assert_eq!(status, StatusCode::OK, "{body:?}");
        Ok(())
    }

    async fn post(
        &self,
        path: &str,
        client_id: &str,
        mut form: FormWriter,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        form.append("client_id", client_id);
        let request = Request::post(format!("{}{path}", self.authorization_at))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish().into())
            .unwrap();
        let (status, _, body) = self.send(request).await?;
        Ok((status, body))
    }

    /// Whether the MCP server lets this access token in.
    pub(crate) async fn is_let_in(&self, access: &str) -> Result<bool, Unanswered> {
        let request = Request::post(&self.mcp_at)
            .header(AUTHORIZATION, format!("Bearer {access}"))
            .header(CONTENT_TYPE, "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/list")
            .body(LIST_TOOLS.into())
            .unwrap();
        let (status, _, body) = self.send(request).await?;
        let is_let_in = status == StatusCode::OK;
        assert!(is_let_in || status == StatusCode::UNAUTHORIZED, "{status} {body:?}");
        Ok(is_let_in)
    }

    /// Sends a request as a reverse proxy does, each from another address: limits count by address.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Unanswered> {
        let peer = HeaderValue::from_str(&next_peer().to_string()).unwrap();
        request.headers_mut().insert(FORWARDED_FOR, peer);
        let response = self.http.request(request).await.map_err(|_| Unanswered::Cut)?;
        let (parts, body) = response.into_parts();
        // Half an answer is none.
        let body = body.collect().await.map_err(|_| Unanswered::Cut)?.to_bytes();
        if parts.status == StatusCode::SERVICE_UNAVAILABLE {
            return Err(Unanswered::Later);
        }
        Ok((parts.status, parts.headers, body))
    }
}

/// Returns the next address of 198.18.0.0/15, which no machine has (RFC 2544).
fn next_peer() -> Ipv4Addr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed) & 0x1_ffff;
    Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() | number)
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).expect("the header is there").to_str().unwrap()
}

fn member(body: &Bytes, name: &str) -> String {
    let json: Value = serde_json::from_slice(body).unwrap();
    json[name].as_str().unwrap_or_else(|| panic!("{name} is not in {json}")).to_owned()
}
