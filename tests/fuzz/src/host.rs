//! A host that answers a flow, and looks at each of its requests.

use core::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use bytes::Bytes;
use client_auth::ProofKey;
use client_flow::{ClientConfig, SendRequest, FlowError, FlowStage, StoredCredentials, Session, Step, BrowserRequest};
use http::{Method, Response, Uri};
use iss_validate::Callback as Received;
use oauth_types::{
    CodeVerifier, Entropy, FormPairs, FormWriter, RedirectUri, TokenResponse, UnixTime,
};
use serde_json::Value;

use crate::{Answer, MARK};

/// What all flows take for the time.
pub const NOW: UnixTime = UnixTime::from_secs(1_000_000);
const CODE: &str = "code-5ec237-once";
/// More steps than any flow has.
const MAX_STEPS: usize = 40;

/// A client that registers itself, with or without a key to bind its tokens to.
pub fn config(has_key: bool) -> ClientConfig {
    static KEY: LazyLock<ProofKey> = LazyLock::new(|| {
        let pem = include_str!("../../../crates/client-auth/tests/keys/es256.pem");
        ProofKey::from_pem(pem).unwrap()
    });
    let config = ClientConfig::new("Fuzz", RedirectUri::parse("http://127.0.0.1/cb").unwrap());
    if has_key { config.with_proof_key(KEY.clone()) } else { config }
}

/// What the browser comes back with.
#[derive(Arbitrary, Debug, Default)]
pub enum Callback<'a> {
    #[default]
    Right,
    /// A code, with these in the place of what belongs there.
    Changed {
        state: Option<&'a str>,
        iss: Option<&'a str>,
    },
    Raw(&'a str),
}

/// Answers a flow, and looks at each of its requests.
pub struct Host<'a> {
    answer: Box<dyn FnMut(FlowStage) -> Answer<'a> + 'a>,
    pub callback: Callback<'a>,
    /// What is kept, the latest last.
    pub kept: Vec<StoredCredentials>,
    /// The documents that count: the last of each that came with 200.
    resource: Option<Value>,
    server: Option<Value>,
    /// Codes and refresh tokens in the order they were posted, and what was answered last.
    posted: Vec<String>,
    answered: Option<Response<Bytes>>,
    /// What was drawn, as a verifier is made of it.
    verifiers: Vec<String>,
}

impl<'a> Host<'a> {
    pub fn new(answer: impl FnMut(FlowStage) -> Answer<'a> + 'a) -> Self {
        Self {
            answer: Box::new(answer),
            callback: Callback::Right,
            kept: Vec::new(),
            resource: None,
            server: None,
            posted: Vec::new(),
            answered: None,
            verifiers: Vec::new(),
        }
    }

    /// Carries a flow out. Its errors and its sessions show no secret.
    pub fn drive(&mut self, step: Result<Step, FlowError>) -> Result<Session, FlowError> {
        self.posted.clear();
        let before = (self.resource.clone(), self.server.clone());
        let outcome = step.and_then(|step| self.take_all(step));
        match &outcome {
            Ok(session) => assert!(!self.is_secret(&format!("{session:?}"))),
            Err(error) => {
                assert!(!self.is_secret(&format!("{error} {error:?}")), "an error shows a secret");
                // The session that is held is still of these.
                (self.resource, self.server) = before;
            }
        }
        outcome
    }

    fn take_all(&mut self, mut step: Step) -> Result<Session, FlowError> {
        for _ in 0..MAX_STEPS {
            assert!(!self.is_secret(&format!("{step:?}")), "a step shows a secret");
            step = match step {
                Step::SendRequest(exchange) => {
                    self.look_at(&exchange);
                    let purpose = exchange.stage();
                    let response = (self.answer)(purpose).response(purpose);
                    self.note(purpose, &response);
                    exchange.resume(Ok(response), NOW)?
                }
                Step::LoadCredentials(recall) => {
                    let key = recall.key();
                    recall.resume(self.kept.iter().rfind(|own| own.key() == key).cloned(), NOW)?
                }
                Step::ChooseServer(choose) => choose.choose(0)?,
                Step::GenerateRandom(draw) => {
                    let drawn = u8::try_from(self.verifiers.len()).expect("a bounded flow");
                    let verifier = CodeVerifier::new(Entropy::new([drawn; 32]));
                    self.verifiers.push(verifier.as_secret().expose().to_owned());
                    draw.resume(Entropy::new([!drawn; 32]), Entropy::new([drawn; 32]), NOW)?
                }
                Step::OpenBrowser(visit) => {
                    let callback = self.visit(&visit);
                    visit.resume(Received::from_url(&callback), NOW)?
                }
                Step::SaveCredentials(save) => {
                    self.kept.push(save.record().clone());
                    save.saved()?
                }
                Step::Ready(session) => {
                    let answered = self.answered.take();
                    // After something was spent the body decides, not the status.
                    let has_token =
                        |own: Response<Bytes>| TokenResponse::from_json(own.body()).is_ok();
                    assert!(answered.is_none_or(has_token), "tokens of no token answer");
                    return Ok(*session);
                }
                Step::GetAssertion(_) => panic!("nobody else vouches for this client"),
            };
        }
        panic!("the flow does not end");
    }

    fn look_at(&mut self, exchange: &SendRequest) {
        let request = exchange.request();
        let (url, body) = (request.uri(), String::from_utf8_lossy(request.body()));
        may_be_sent_to(&url.to_string());
        let is_secret = |text: &str| self.is_secret(text);
        assert!(!is_secret(&url.to_string()), "a secret in a URL");
        let shows_who =
            ["authorization", "dpop"].iter().any(|own| request.headers().contains_key(*own));
        match exchange.stage() {
            FlowStage::ResourceMetadata => {
                assert_eq!(authority(url), "rs.example", "not at the resource");
                assert!(!is_secret(&body) && !shows_who);
            }
            FlowStage::ServerMetadata => {
                assert!(self.issuers().iter().any(|own| same_origin(own, url)), "at no issuer");
                assert!(!is_secret(&body) && !shows_who);
            }
            FlowStage::Registration => {
                assert!(self.is_at("registration_endpoint", "/register", &url.to_string()));
                assert!(!is_secret(&body) && !shows_who);
            }
            _ => {
                assert!(
                    self.is_at("token_endpoint", "/token", &url.to_string()),
                    "not the token endpoint"
                );
                assert_eq!(request.method(), Method::POST);
                self.post(request.body());
            }
        }
    }

    fn is_secret(&self, text: &str) -> bool {
        text.contains(MARK) || self.verifiers.iter().any(|own| text.contains(own))
    }

    /// Nothing is posted twice, but for a nonce.
    fn post(&mut self, body: &[u8]) {
        let form = FormPairs::parse(body).unwrap();
        let grant = ["code", "refresh_token"].map(|name| form.value(name).unwrap());
        let grant = grant.into_iter().flatten().next().expect("a grant").to_owned();
        let before = self.posted.iter().filter(|own| **own == grant).count();
        if before > 0 {
            let last = self.answered.take().expect("an answer");
            assert!(last.headers().contains_key("dpop-nonce"), "sent again without a nonce");
            let error: Value = serde_json::from_slice(last.body()).unwrap();
            assert_eq!(error["error"], "use_dpop_nonce", "sent again for no reason");
        }
        assert!(before < 2, "sent a third time");
        self.posted.push(grant);
    }

    fn note(&mut self, purpose: FlowStage, response: &Response<Bytes>) {
        // Anything but an object is a page, which counts as absent.
        let document = || serde_json::from_slice(response.body()).ok().filter(Value::is_object);
        let is_found = response.status() == 200;
        match purpose {
            FlowStage::ResourceMetadata if is_found => self.resource = document(),
            FlowStage::ServerMetadata if is_found => self.server = document(),
            FlowStage::ResourceMetadata => (self.resource, self.server) = (None, None),
            _ => {}
        }
        let is_of_tokens = matches!(purpose, FlowStage::CodeExchange | FlowStage::Refresh);
        self.answered = is_of_tokens.then(|| response.clone());
    }

    /// The issuers that the resource names; where it names none, its own origin is asked.
    fn issuers(&self) -> Vec<String> {
        let Some(resource) = &self.resource else {
            return vec!["https://rs.example".to_owned(), "https://rs.example/".to_owned()];
        };
        // One text is read as a list of it.
        let listed = match &resource["authorization_servers"] {
            Value::Array(listed) => listed.clone(),
            one => vec![one.clone()],
        };
        listed.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Whether this is the endpoint in the metadata of an issuer that the resource names.
    fn is_at(&self, member: &str, assumed: &str, url: &str) -> bool {
        let Some(server) = &self.server else {
            return self.resource.is_none() && url == format!("https://rs.example{assumed}");
        };
        let issuer = server["issuer"].as_str().unwrap_or_default();
        assert!(self.issuers().iter().any(|own| own == issuer), "metadata of nobody's issuer");
        let plain = |text: &str| text.trim_end_matches(['?', '&']).parse::<Uri>().ok();
        plain(url).is_some() && server[member].as_str().and_then(plain) == plain(url)
    }

    fn visit(&self, visit: &BrowserRequest) -> String {
        let url = visit.url();
        may_be_sent_to(url);
        assert!(!self.is_secret(url), "a secret in a URL");
        assert!(url.contains("code_challenge_method=S256"));
        let (endpoint, query) =
            url.split_at(url.rfind("response_type=code&client_id=").expect("a request"));
        let endpoint = endpoint.trim_end_matches(['?', '&']);
        assert!(self.is_at("authorization_endpoint", "/authorize", endpoint));
        let form = FormPairs::parse(query.as_bytes()).unwrap();
        let state = form.value("state").unwrap().expect("a state");
        let issuer = self.server.as_ref().and_then(|own| own["issuer"].as_str());
        let mut back = FormWriter::new();
        let (state, iss) = match &self.callback {
            Callback::Right => (state, issuer),
            Callback::Changed { state: own, iss } => (own.unwrap_or(state), *iss),
            Callback::Raw(own) => return own.replace(MARK, ""),
        };
        back.append("code", CODE).append("state", state);
        if let Some(iss) = iss {
            back.append("iss", iss);
        }
        format!("http://127.0.0.1/cb?{}", back.as_str())
    }
}

/// From a public server to https only, and to no local address.
fn may_be_sent_to(url: &str) {
    let url: Uri = url.split(['?', '#']).next().unwrap_or_default().parse().unwrap();
    assert_eq!(url.scheme_str(), Some("https"), "{url}");
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    let name = host.trim_end_matches('.');
    assert!(name != "localhost" && !name.ends_with(".localhost"), "{url}");
    if let Ok(address) = host.parse::<IpAddr>() {
        assert!(!is_local(address), "{url}");
    }
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(own) => {
            own.is_loopback() || own.is_private() || own.is_link_local() || own.is_unspecified()
        }
        IpAddr::V6(own) => {
            own.is_unspecified()
                || own == Ipv6Addr::LOCALHOST
                || own.is_unique_local()
                || own.is_unicast_link_local()
                || own.to_ipv4_mapped().is_some_and(|own| is_local(own.into()))
        }
    }
}

fn authority(url: &Uri) -> String {
    url.authority().map(|own| own.as_str().to_ascii_lowercase()).unwrap_or_default()
}

fn same_origin(issuer: &str, url: &Uri) -> bool {
    issuer.parse::<Uri>().is_ok_and(|own| {
        own.scheme() == url.scheme()
            && own.host().map(str::to_ascii_lowercase) == url.host().map(str::to_ascii_lowercase)
            && own.port_u16().unwrap_or(443) == url.port_u16().unwrap_or(443)
    })
}
