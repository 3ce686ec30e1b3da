//! Whatever is sent to the token endpoint: nobody gets a token but a known client that shows its secret, where it has
//! one, with a code and its verifier or a refresh token where nothing else stands for a user; and every answer is JSON
//! that no cache keeps.

#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use authorization_server::store::CodeRecord;
use authorization_server::store::rows::CodeIndex;
use authorization_server::{
    ClientRecord, Config, Environment, IdentityProvider, MemoryStore, Refusal, ServerKey,
    ServerKeys, Store, token,
};
use bytes::Bytes;
use client_auth::{ClientAuthRecord, VerifyingKeys};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthMethod, ClientId, CodeVerifier, Entropy, FormPairs, FormWriter, Issuer, RedirectUri,
    ResourceUri, ScopeSet, Secret, SecretDigest, Subject, UnixTime,
};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const PUBLIC_KEYS: &str = include_str!("../../../crates/client-auth/tests/keys/public.json");
const FORM: &str = "application/x-www-form-urlencoded";
const NAMES: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "refresh_token",
    "redirect_uri",
    "resource",
    "scope",
    "assertion",
    "client_assertion",
    "client_assertion_type",
];
const WORDS: &[&str] = &[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "public",
    "post",
    "basic",
    "machine",
    "enterprise",
    "the secret",
    "the code",
    "https://app.example/cb",
    "https://rs.example/mcp",
    "read",
    "read write",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
];

#[derive(Arbitrary, Debug)]
enum Text<'a> {
    Word(u8),
    Verifier,
    RefreshToken,
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Remove(u8),
    Replace(u8, Text<'a>),
    Add(u8, Text<'a>),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Which request that is right to begin with; of others none.
    right: u8,
    changes: Vec<Change<'a>>,
    /// User name and password of Basic, from the words.
    basic: Option<(u8, u8)>,
    headers: Vec<(u8, &'a [u8])>,
    body: &'a [u8],
    is_get: bool,
}

fn verifier() -> CodeVerifier {
    CodeVerifier::new(Entropy::new([5; 32]))
}

/// A store in memory answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a memory store never waits"),
    }
}

fn config() -> Config {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("read write").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let provider = IdentityProvider::new(
        Issuer::parse("https://idp.example").unwrap(),
        VerifyingKeys::from_jwks(&PUBLIC_KEYS.parse().unwrap(), None).unwrap(),
    );
    let config = Config::new(issuer, vec![resource], scopes, keys).unwrap();
    config.with_identity_provider(provider).unwrap()
}

/// Two clients of users, two of their own and of others, a code of each of the first.
fn store(config: &Config) -> MemoryStore {
    let store = MemoryStore::default();
    let scopes = || ScopeSet::parse("read write").unwrap();
    let with = |method| ClientAuthRecord::new(method).with_secret(Secret::new("the secret").digest());
    let back = RedirectUri::parse("https://app.example/cb").unwrap();
    for (name, authentication) in [
        ("public", ClientAuthRecord::public()),
        ("post", with(AuthMethod::ClientSecretPost)),
        ("basic", with(AuthMethod::ClientSecretBasic)),
    ] {
        let id = ClientId::parse(name).unwrap();
        let uris = vec![back.clone()];
        let record = ClientRecord::pre_registered(config, id, authentication, uris, NOW).unwrap();
        now(store.create_client(record, NOW)).unwrap();
    }
    for (name, make) in [
        ("machine", ClientRecord::client_credentials as fn(_, _, _, _) -> _),
        ("enterprise", ClientRecord::id_jag),
    ] {
        let id = ClientId::parse(name).unwrap();
        let record = make(id, with(AuthMethod::ClientSecretPost), scopes(), NOW);
        now(store.create_client(record, NOW)).unwrap();
    }
    insert_code(&store, "the code");
    store
}

fn insert_code(store: &MemoryStore, code: &str) {
    let index = CodeIndex {
        digest: SecretDigest::of(code),
        client_id: ClientId::parse("public").unwrap(),
        subject: Subject::parse("user").unwrap(),
        expires_at: UnixTime::from_secs(NOW.as_secs() + 60),
        redeemed: None,
    };
    let redirect_uri = RedirectUri::parse("https://app.example/cb").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let (challenge, scopes) = (verifier().challenge(), ScopeSet::parse("read").unwrap());
    let record = CodeRecord::new(index, redirect_uri, challenge, resource, scopes);
    now(store.insert_code(record)).unwrap();
}

/// A host whose random bytes are always the same.
struct Host<'a>(&'a MemoryStore);

impl Environment for Host<'_> {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        self.0
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        Some(Entropy::new([1; N]))
    }
}

fn answer(
    config: &Config,
    store: &MemoryStore,
    request: &Request<Bytes>,
) -> Result<Response<Bytes>, Refusal> {
    now(token(config, &Host(store), request, NOW))
}

fn post(body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post("/token").header(CONTENT_TYPE, FORM).body(body.into()).unwrap()
}

/// A genuine refresh token of the public client.
fn refresh_token(config: &Config, store: &MemoryStore) -> String {
    insert_code(store, "first");
    let mut form = FormWriter::new();
    form.append("grant_type", "authorization_code")
        .append("client_id", "public")
        .append("code", "first")
        .append("code_verifier", verifier().as_secret().expose());
    let response = answer(config, store, &post(form.finish())).unwrap();
    let tokens: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    tokens["refresh_token"].as_str().unwrap().to_owned()
}

/// A request that is right, in its parameters.
fn right(number: u8, refresh: &str) -> Vec<(&'static str, String)> {
    let verifier = verifier();
    let pairs: &[(&str, &str)] = match number % 4 {
        0 => &[
            ("grant_type", "authorization_code"),
            ("client_id", "public"),
            ("code", "the code"),
            ("code_verifier", verifier.as_secret().expose()),
        ],
        1 => {
            &[("grant_type", "refresh_token"), ("client_id", "public"), ("refresh_token", refresh)]
        }
        2 => &[
            ("grant_type", "client_credentials"),
            ("client_id", "machine"),
            ("client_secret", "the secret"),
        ],
        _ => &[],
    };
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn name(number: u8) -> &'static str {
    NAMES[usize::from(number) % NAMES.len()]
}

fn word(number: u8) -> &'static str {
    WORDS[usize::from(number) % WORDS.len()]
}

fuzz_target!(|input: Input<'_>| {
    let config = config();
    let store = store(&config);
    let refresh = refresh_token(&config, &store);
    let text = |text: &Text<'_>| match text {
        Text::Word(number) => word(*number).to_owned(),
        Text::Verifier => verifier().as_secret().expose().to_owned(),
        Text::RefreshToken => refresh.clone(),
        Text::Any(text) => (*text).to_owned(),
    };
    let mut pairs = right(input.right, &refresh);
    for change in &input.changes {
        if let Change::Remove(number) | Change::Replace(number, _) = change {
            pairs.retain(|(own, _)| *own != name(*number));
        }
        if let Change::Replace(number, value) | Change::Add(number, value) = change {
            pairs.push((name(*number), text(value)));
        }
    }
    let mut form = FormWriter::new();
    for (name, value) in &pairs {
        form.append(name, value);
    }
    let mut body = form.finish().into_bytes();
    if !input.body.is_empty() {
        body.push(b'&');
        body.extend_from_slice(input.body);
    }
    let mut request = post(body);
    if input.is_get {
        *request.method_mut() = Method::GET;
    }
    let headers = request.headers_mut();
    if let Some((user, password)) = input.basic {
        let id = ClientId::parse(word(user)).unwrap();
        let (secret, method) = (Secret::new(word(password)), AuthMethod::ClientSecretBasic);
        let own = client_auth::ClientCredentials::choose(id, Some(secret), Some(&method), &[]);
        own.unwrap().attach(headers, &mut FormWriter::new()).unwrap();
    }
    for (name, value) in &input.headers {
        let names = [AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("dpop")];
        let name = names[usize::from(*name) % names.len()].clone();
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let outcome = answer(&config, &store, &request);
    let is_granted = outcome.is_ok();
    let response = outcome.unwrap_or_else(Refusal::into_response);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let answer: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(response.status() == 200, is_granted);
    assert_eq!(answer["error"].is_string(), !is_granted);
    if !is_granted {
        return;
    }

    let form = FormPairs::parse(request.body()).unwrap();
    let value = |name| form.value(name).unwrap().unwrap_or_default();
    assert!(request.method() == Method::POST);
    let basic = request.headers().get(AUTHORIZATION).map(client_auth::BasicCredentials::decode);
    let basic = basic.map(|basic| basic.unwrap());
    let (client, secret) = match &basic {
        Some(basic) => (basic.client_id(), basic.secret()),
        None => (value("client_id"), value("client_secret")),
    };
    assert!(client == "public" || secret == "the secret", "{client} without its secret");
    match value("grant_type") {
        "authorization_code" => {
            assert_eq!((client, value("code")), ("public", "the code"));
            assert_eq!(value("code_verifier"), verifier().as_secret().expose());
        }
        "refresh_token" => assert_eq!((client, value("refresh_token")), ("public", &*refresh)),
        "client_credentials" => assert_eq!(client, "machine"),
        other => panic!("a token by {other}"),
    }
    let granted = ScopeSet::parse(answer["scope"].as_str().unwrap()).unwrap();
    assert!(!granted.exceeds(&ScopeSet::parse("read write").unwrap()));
});
