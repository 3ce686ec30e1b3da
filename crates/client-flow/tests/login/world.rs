//! A scripted server: change a member to break one thing.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use client_flow::{
    BrowserRequest, ClientConfig, FlowError, Session, Step, StoredCredentials, login,
};
use http::{Request, Response, StatusCode};
use iss_validate::Callback;
use oauth_types::{Entropy, FormPairs, RedirectUri, Secret, UnixTime};
use serde_json::{Value, json};

pub(crate) const MCP: &str = "https://rs.example/mcp";
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_000_000);

type Interfere = Box<dyn Fn(&Request<Bytes>) -> Option<Response<Bytes>>>;

/// What the world answers; change a member to break one thing.
pub(crate) struct World {
    pub(crate) prm: (u16, Value),
    pub(crate) prm_root: (u16, Value),
    pub(crate) metadata: (u16, Value),
    pub(crate) openid: (u16, Value),
    pub(crate) register: (u16, Value),
    pub(crate) token: (u16, Value),
    pub(crate) callback: Box<dyn Fn(&str) -> String>,
    /// Answers before all the others, where it has something to say.
    pub(crate) interfere: Interfere,
    /// What the platform or the identity provider says of who asks.
    pub(crate) identity: String,
    pub(crate) kept: Option<StoredCredentials>,
    pub(crate) saves: Cell<bool>,
    pub(crate) loads: Cell<bool>,
    pub(crate) sent: RefCell<Vec<Request<Bytes>>>,
    pub(crate) saved: RefCell<Vec<StoredCredentials>>,
    pub(crate) drawn: Cell<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            prm: (200, json!({"resource": MCP, "authorization_servers": ["https://as.example"]})),
            prm_root: (404, json!({})),
            metadata: (200, metadata("https://as.example")),
            openid: (404, json!({})),
            register: (201, json!({"client_id": "c1", "redirect_uris": ["http://127.0.0.1/cb"]})),
            token: (200, json!({"access_token": "at", "token_type": "bearer", "expires_in": 600})),
            interfere: Box::new(|_| None),
            callback: Box::new(|url| {
                let state = query(url, "state").unwrap();
                format!("http://127.0.0.1/cb?code=the-code&state={state}&iss=https://as.example")
            }),
            identity: "id-token".to_owned(),
            kept: None,
            saves: Cell::new(true),
            loads: Cell::new(true),
            sent: RefCell::default(),
            saved: RefCell::default(),
            drawn: Cell::new(0),
        }
    }

    pub(crate) fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        self.sent.borrow_mut().push(request.clone());
        if let Some(response) = (self.interfere)(request) {
            return response;
        }
        let (status, body) = match request.uri().to_string().as_str() {
            "https://rs.example/.well-known/oauth-protected-resource/mcp" => &self.prm,
            "https://rs.example/.well-known/oauth-protected-resource" => &self.prm_root,
            "https://as.example/.well-known/oauth-authorization-server" => &self.metadata,
            "https://as.example/.well-known/openid-configuration" => &self.openid,
            "https://as.example/register" => &self.register,
            "https://as.example/token" => &self.token,
            _ => &(404, Value::Null),
        };
        let mut response = Response::new(match body {
            Value::String(raw) => raw.clone().into(),
            json => json.to_string().into(),
        });
        *response.status_mut() = StatusCode::from_u16(*status).unwrap();
        response
    }

    pub(crate) fn drive(&self, mut step: Step) -> Result<Session, FlowError> {
        loop {
            match self.until_user(step)? {
                Ok(visit) => {
                    let callback = (self.callback)(visit.url());
                    step = visit.resume(Callback::from_url(&callback), NOW)?;
                }
                Err(session) => return Ok(*session),
            }
        }
    }

    /// Goes on until the user has to do something, or has nothing left to do.
    pub(crate) fn until_user(
        &self,
        mut step: Step,
    ) -> Result<Result<Box<BrowserRequest>, Box<Session>>, FlowError> {
        loop {
            step = match step {
                Step::SendRequest(exchange) => {
                    let response = self.answer(exchange.request());
                    exchange.resume(Ok(response), NOW)?
                }
                Step::LoadCredentials(recall) if !self.loads.get() => recall.failed(NOW)?,
                Step::LoadCredentials(recall) => {
                    let key = recall.key();
                    let kept = self.kept.clone().filter(|record| record.account.key() == key);
                    recall.resume(kept, NOW)?
                }
                Step::ChooseServer(choose) => {
                    let last = choose.servers().len() - 1;
                    choose.choose(last)?
                }
                Step::GenerateRandom(draw) => {
                    self.drawn.set(self.drawn.get() + 2);
                    let one = Entropy::new([self.drawn.get(); 32]);
                    let other = Entropy::new([self.drawn.get() + 1; 32]);
                    draw.resume(one, other, NOW)?
                }
                Step::GetAssertion(identify) => identify.resume(&Secret::new(&*self.identity))?,
                Step::OpenBrowser(visit) => return Ok(Ok(visit)),
                Step::SaveCredentials(save) if self.saves.get() => {
                    self.saved.borrow_mut().push(save.record().clone());
                    save.saved()?
                }
                Step::SaveCredentials(save) => save.failed()?,
                Step::Ready(session) => return Ok(Err(session)),
            }
        }
    }

    pub(crate) fn login(&self, config: ClientConfig) -> Result<Session, FlowError> {
        self.drive(login(config, MCP, None, None)?)
    }

    pub(crate) fn sent(&self) -> Vec<String> {
        let line = |request: &Request<Bytes>| format!("{} {}", request.method(), request.uri());
        self.sent.borrow().iter().map(line).collect()
    }

    /// A parameter of the last token request.
    pub(crate) fn token_form(&self, name: &'static str) -> Option<String> {
        let sent = self.sent.borrow();
        let request = sent.iter().rev().find(|request| request.uri().path() == "/token")?;
        let form = FormPairs::parse(request.body()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.sent.borrow().iter().filter(|request| request.uri().path() == "/token").count()
    }
}

pub(crate) fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "registration_endpoint": "https://as.example/register",
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig::new("Test", RedirectUri::parse("http://127.0.0.1/cb").unwrap())
}

pub(crate) fn query(url: &str, name: &'static str) -> Option<String> {
    let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
    form.value(name).unwrap().map(str::to_owned)
}

/// A response of JSON.
pub(crate) fn json_response(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A parameter of a form that was sent.
pub(crate) fn form_of(request: &Request<Bytes>, name: &'static str) -> Option<String> {
    FormPairs::parse(request.body()).unwrap().value(name).unwrap().map(str::to_owned)
}
