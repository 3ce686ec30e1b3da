//! The server under test: a store in memory, counted entropy, a clock that tests move, documents out of a map, and
//! pages that nobody renders.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authorization_server::{
    Attempt, ClientRecord, Config, DocumentRefused, Environment, Failure, KeysNeeded, MemoryStore,
    Refusal, ServerKey, ServerKeys, Store, introspect, register, revoke, token,
};
use bytes::Bytes;
use client_auth::{Presented, SecretCheck};
pub(crate) use futures::executor::block_on;
use http::header::{CONTENT_TYPE, COOKIE};
use http::{Method, Request, StatusCode};
use oauth_types::{
    ClientMetadataUrl, CodeVerifier, Entropy, FormWriter, Issuer, JwkSet, ResourceUri, ScopeSet,
    UnixTime,
};
use serde_json::{Value, json};

pub(crate) use crate::answer::Answer;
use crate::limits::Limits;
use crate::pages::Login;
use crate::secret_hash::Hashes;
use crate::web::Web;

pub(crate) const REDIRECT: &str = "https://app.example/cb?keep=a%20b";
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_000_000);

pub(crate) struct Server<S = MemoryStore> {
    pub(crate) config: Config,
    pub(crate) store: Arc<S>,
    pub(crate) login: Login,
    pub(crate) web: Web,
    pub(crate) limits: Limits,
    /// Verifier of hashed secrets, if the host has one.
    pub(crate) hashes: Option<Hashes>,
    seconds: AtomicU64,
}

pub(crate) fn config(issuer: &str) -> Config {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    Config::new(Issuer::parse(issuer).unwrap(), vec![resource], scopes, keys).unwrap()
}

pub(crate) fn server_of(config: Config) -> Server {
    server_on(&Arc::new(MemoryStore::default()), config)
}

/// A server that goes on with this store.
pub(crate) fn server_on<S>(store: &Arc<S>, config: Config) -> Server<S> {
    Server {
        config,
        store: Arc::clone(store),
        login: Login::default(),
        web: Web::default(),
        limits: Limits::default(),
        hashes: None,
        seconds: AtomicU64::new(NOW.as_secs()),
    }
}

pub(crate) fn server() -> Server {
    server_of(config("https://as.example"))
}

/// A server with this login.
pub(crate) fn server_with(config: Config, login: Login) -> Server {
    Server { login, ..server_of(config) }
}

/// Draws bytes that no other draw of this process has.
pub(crate) fn draw<const N: usize>() -> Entropy<N> {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    let drawn = DRAWN.fetch_add(1, Ordering::SeqCst);
    let mut bytes = [0xA5; N];
    bytes[..8].copy_from_slice(&drawn.to_be_bytes());
    // A draw may be split: both halves differ from those of any other.
    bytes[N - 8..].copy_from_slice(&drawn.to_be_bytes());
    Entropy::new(bytes)
}

impl<S: Store> Environment for Server<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.store
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        Some(draw())
    }

    async fn client_document(
        &self,
        url: &ClientMetadataUrl,
    ) -> Result<ClientRecord, DocumentRefused> {
        let answer = self.web.fetch(url)?;
        ClientRecord::from_document(&self.config, url, &answer, self.now())
    }

    async fn client_keys(&self, needed: &KeysNeeded<'_>) -> Result<JwkSet, DocumentRefused> {
        KeysNeeded::read(&self.web.fetch(needed.url())?)
    }

    async fn verify_secret(
        &self,
        check: SecretCheck,
        attempt: &Attempt<'_>,
    ) -> Result<Presented, Refusal> {
        match &self.hashes {
            Some(hashes) => {
                self.limits.verifies(attempt);
                hashes.run(check).await
            }
            None => Ok(check.skip()),
        }
    }

    fn admit(&self, attempt: &Attempt<'_>) -> Result<(), Duration> {
        self.limits.admit(attempt)
    }

    fn admit_registration(&self) -> Result<(), Duration> {
        self.limits.registration()
    }

    fn record_failure(&self, attempt: &Attempt<'_>, failure: Failure) -> Result<(), Duration> {
        self.limits.failure(attempt, failure)
    }

    fn client_used(&self, client: &ClientRecord) {
        self.limits.used(client);
    }
}

impl<S: Store> Server<S> {
    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the clock.
    pub(crate) fn set_clock(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::SeqCst);
    }

    /// Answers as the endpoint or document at the path does.
    pub(crate) async fn answer(&self, request: &Request<Bytes>) -> Answer {
        let (config, now) = (&self.config, self.now());
        let (paths, path) = (config.paths(), request.uri().path());
        if let Err(refusal) = config.check_host(request) {
            return refusal.into_response().into();
        }
        if path == paths.authorize {
            return self.authorize(request).await;
        }
        if path == paths.consent {
            return self.consent_endpoint(request).await;
        }
        let is = |own: &Option<String>| own.as_deref() == Some(path);
        let outcome = if path == paths.token {
            token(config, self, request, now).await
        } else if path == paths.register {
            register(config, self, request, now).await
        } else if path == paths.revoke {
            revoke(config, self, request, now).await
        } else if is(&paths.introspect) {
            introspect(config, self, request, now).await
        } else if paths.metadata.iter().any(|own| own == path) {
            Ok(config.metadata_response(request.method()))
        } else {
            #[cfg(feature = "jwt")]
            if is(&paths.jwks) {
                let keys = config.jwks_response(request.method());
                return keys.unwrap_or_else(|| config.not_found_response()).into();
            }
            Ok(config.not_found_response())
        };
        outcome.unwrap_or_else(Refusal::into_response).into()
    }

    #[expect(clippy::needless_pass_by_value, reason = "a request is sent once")]
    pub(crate) fn send(&self, request: Request<Bytes>) -> Answer {
        block_on(self.answer(&request))
    }

    pub(crate) fn method(&self, method: Method, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Bytes::new()).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.method(Method::GET, path)
    }

    /// A request of a browser with these cookies.
    pub(crate) fn get_with(&self, cookies: &str, url: &str) -> Answer {
        self.send(Request::get(url).header(COOKIE, cookies).body(Bytes::new()).unwrap())
    }

    pub(crate) fn get_as(&self, user: &str, url: &str) -> Answer {
        self.get_with(&format!("user={user}"), url)
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap())
    }

    pub(crate) fn form(&self, path: &str, form: &str) -> Answer {
        self.post(path, "application/x-www-form-urlencoded", form.to_owned())
    }

    #[expect(clippy::needless_pass_by_value, reason = "metadata is sent once")]
    pub(crate) fn register(&self, metadata: Value) -> Answer {
        self.post("/register", "application/json", metadata.to_string())
    }

    pub(crate) fn client(&self) -> String {
        let answer = self.register(json!({
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        }));
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// A client with this redirect URI that shows a secret: its identifier, and the secret as a part of a form.
    pub(crate) fn confidential(&self, redirect: &str) -> (String, String) {
        let metadata = json!({
            "redirect_uris": [redirect],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let answer = self.register(metadata).json();
        let secret = format!("&client_secret={}", answer["client_secret"].as_str().unwrap());
        (answer["client_id"].as_str().unwrap().to_owned(), secret)
    }

    pub(crate) fn consent(&self, transaction: &str, cookie: &str, decision: &str) -> Answer {
        self.decide("/authorize/consent", transaction, cookie, decision)
    }

    pub(crate) fn answer_as(&self, user: &str, page: &Answer, decision: &str) -> Answer {
        let cookies = format!("user={user}; {}", page.cookie());
        self.consent(&page.transaction(), &cookies, decision)
    }

    pub(crate) fn decide(
        &self,
        path: &str,
        transaction: &str,
        cookie: &str,
        decision: &str,
    ) -> Answer {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie)
            .body(Bytes::from(format!("transaction={transaction}&decision={decision}")));
        self.send(request.unwrap())
    }

    /// A login up to the code.
    pub(crate) fn code(&self, client_id: &str) -> String {
        let page = self.get(&authorize(client_id, &[]));
        assert_eq!(page.status, StatusCode::OK);
        let answer = self.consent(&page.transaction(), &page.cookie(), "allow");
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
