//! Whatever asks for a registration: what is registered comes back to where it may, authenticates as offered, and bears
//! a name that hides nothing.

#![no_main]

use arbitrary::Arbitrary;
use authorization_server::{
    Config, Environment, MemoryStore, ServerKey, ServerKeys, Refusal, Store, register,
};
use bytes::Bytes;
use fuzz::now;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request};
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    AuthMethod, ClientId, Entropy, FormPairs, GrantType, Issuer, RedirectUri, ResourceUri,
    ScopeSet, UnixTime, is_hidden,
};
use serde_json::{Map, Value, json};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const MEMBERS: &[&str] = &[
    "redirect_uris",
    "token_endpoint_auth_method",
    "grant_types",
    "response_types",
    "client_name",
    "scope",
    "jwks",
    "jwks_uri",
    "client_uri",
    "application_type",
    "dpop_bound_access_tokens",
];
const WORDS: &[&str] = &[
    "https://app.example/cb",
    "http://127.0.0.1/cb",
    "http://app.example/cb",
    "com.example.app:/cb",
    "javascript:alert(1)",
    "none",
    "client_secret_post",
    "client_secret_basic",
    "private_key_jwt",
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "code",
    "native",
];

#[derive(Arbitrary, Debug)]
enum Json<'a> {
    Word(u8),
    Words(Vec<u8>),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Flag(bool),
    Keys(bool),
}

#[derive(Arbitrary, Debug)]
enum Body<'a> {
    Members(Vec<(u8, Json<'a>)>),
    Raw(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    body: Body<'a>,
    takes_private_use: bool,
    is_put: bool,
}

/// A host with an empty store, whose random bytes are always the same.
#[derive(Default)]
struct Host {
    store: MemoryStore,
}

impl Environment for Host {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        Some(Entropy::new([1; N]))
    }
}

fn word(number: u8) -> &'static str {
    WORDS[usize::from(number) % WORDS.len()]
}

fn value(json: &Json<'_>) -> Value {
    match json {
        Json::Word(number) => json!(word(*number)),
        Json::Words(numbers) => numbers.iter().map(|number| word(*number)).collect(),
        Json::Text(text) => json!(text),
        Json::Texts(texts) => json!(texts),
        Json::Flag(flag) => json!(flag),
        Json::Keys(is_private) => {
            let keys = include_str!("../../../crates/client-auth/tests/keys/public.json");
            let mut keys: Value = keys.parse().unwrap();
            if *is_private {
                keys["keys"][0]["d"] = json!("AAAA");
            }
            keys
        }
    }
}

fn config(takes_private_use: bool) -> Config {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("read write").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let config = Config::new(issuer, vec![resource], scopes, keys).unwrap();
    if takes_private_use { config.with_private_use_redirects() } else { config }
}

fuzz_target!(|input: Input<'_>| {
    let config = config(input.takes_private_use);
    let body = match &input.body {
        Body::Raw(bytes) => Bytes::copy_from_slice(bytes),
        Body::Members(members) => {
            let name = |number: &u8| MEMBERS[usize::from(*number) % MEMBERS.len()].to_owned();
            let members = members.iter().map(|(number, json)| (name(number), value(json)));
            Value::Object(members.collect::<Map<_, _>>()).to_string().into()
        }
    };
    let request = Request::post("/register").header(CONTENT_TYPE, "application/json");
    let mut request = request.body(body).unwrap();
    if input.is_put {
        *request.method_mut() = Method::PUT;
    }
    let host = Host::default();
    let response = now(register(&config, &host, &request, NOW));
    let is_registered = response.is_ok();
    let response = response.unwrap_or_else(Refusal::into_response);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    if !is_registered {
        assert!(response.status().is_client_error() && answer["error"].is_string());
        return;
    }
    assert!(!input.is_put, "registered by PUT");
    let id = ClientId::parse(answer["client_id"].as_str().unwrap()).unwrap();
    let record = now(host.store.read_client(&id)).unwrap().expect("the client is stored");

    assert!((1..=16).contains(&record.redirect_uris.len()));
    for uri in &record.redirect_uris {
        let text = uri.as_str();
        assert_eq!(RedirectUri::parse(text).as_ref(), Ok(uri));
        let is_web = text.starts_with("https://") || uri.is_loopback();
        assert!(is_web || (input.takes_private_use && uri.is_private_use()), "{text}");
        let query = text.split_once('?').map_or("", |(_, query)| query);
        let form = FormPairs::parse(query.as_bytes()).unwrap();
        assert!(["iss", "code", "state", "error"].iter().all(|name| !form.contains(name)));
    }
    let method = &record.authentication.method;
    let listed = config.metadata().token_endpoint_auth_methods_supported.unwrap();
    assert!(listed.contains(method), "{method:?}");
    let wants_secret =
        matches!(method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
    assert_eq!(record.authentication.secret.is_some(), wants_secret);
    assert_eq!(record.authentication.keys.is_some(), *method == AuthMethod::PrivateKeyJwt);
    let grants = record.metadata.grant_types.as_deref().unwrap();
    assert!(grants.contains(&GrantType::AuthorizationCode));
    let offered = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    assert!(grants.iter().all(|grant| offered.contains(grant)));
    if let Some(name) = &record.metadata.client_name {
        assert!(!name.is_empty() && name.chars().count() <= 80 && name.trim() == name);
        assert!(!name.chars().any(is_hidden));
    }
    let answer = String::from_utf8(response.into_body().to_vec()).unwrap();
    assert!(!answer.contains("\"d\":"), "a private key");
});
