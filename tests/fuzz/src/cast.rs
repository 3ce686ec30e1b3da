//! Parties: an authorization server, two clients, and an attacker with its own client, with their redirect targets.

use core::time::Duration;
use std::sync::LazyLock;

use authorization_server::{ClientRecord, Config, ServerKey, ServerKeys};
use bytes::Bytes;
use client_auth::ClientAuthRecord;
use http::header::{AUTHORIZATION, LOCATION};
use http::{Request, Response};
use oauth_types::{
    AuthMethod, ClientId, CodeVerifier, Entropy, FormPairs, Issuer, RedirectUri, ResourceUri,
    ScopeSet, Secret, UnixTime,
};

pub const ISSUER: &str = "https://as.example";
pub const RESOURCES: [&str; 2] = ["https://rs.example/mcp", "https://other.example/"];
/// What clients ask for; the last is for nobody.
pub const SCOPES: [&str; 4] = ["files:read", "files:read files:write", "files:write", "admin"];
/// How long remembered consent counts.
pub const REMEMBERED: Duration = Duration::from_secs(3600);

/// A client: its identifier, how it shows who it is, and its redirect URI.
pub struct Client {
    pub id: &'static str,
    method: AuthMethod,
    pub redirect_uri: &'static str,
}

/// Two honest ones and the attacker's.
pub static CLIENTS: [Client; 3] = [
    Client {
        id: "web",
        method: AuthMethod::ClientSecretBasic,
        redirect_uri: "https://web.example/cb?a=b",
    },
    Client { id: "native", method: AuthMethod::None, redirect_uri: "http://127.0.0.1/cb" },
    Client {
        id: "evil",
        method: AuthMethod::ClientSecretPost,
        redirect_uri: "https://evil.example/cb",
    },
];

/// base64 of `web:web-secret`; the other secrets are made alike.
pub const WEB_BASIC: &str = "Basic d2ViOndlYi1zZWNyZXQ=";

/// A configuration with both resources, and the clients as an operator registers them.
pub fn authorization_server() -> &'static (Config, Vec<ClientRecord>) {
    static CONFIG: LazyLock<(Config, Vec<ClientRecord>)> = LazyLock::new(|| {
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let resources = RESOURCES.map(|uri| ResourceUri::parse(uri).unwrap()).to_vec();
        let scopes = ScopeSet::parse("files:read files:write").unwrap();
        let issuer = Issuer::parse(ISSUER).unwrap();
        let config = Config::new(issuer, resources, scopes, keys).unwrap();
        let config = config.with_remembered_consent(REMEMBERED);
        let clients = CLIENTS.iter().map(|client| {
            let id = ClientId::parse(client.id).unwrap();
            let authentication = match &client.method {
                AuthMethod::None => ClientAuthRecord::public(),
                method => {
                    let secret = Secret::new(format!("{}-secret", client.id));
                    ClientAuthRecord::new(method.clone()).with_secret(secret.digest())
                }
            };
            let back = vec![RedirectUri::parse(client.redirect_uri).unwrap()];
            ClientRecord::pre_registered(&config, id, authentication, back, START).unwrap()
        });
        let clients = clients.collect();
        (config, clients)
    });
    &CONFIG
}

/// When everything begins.
pub const START: UnixTime = UnixTime::from_secs(1_000_000);

pub fn choose<T: Copy>(list: &[T], number: u8) -> T {
    list[usize::from(number) % list.len()]
}

pub fn verifier(number: u8) -> CodeVerifier {
    CodeVerifier::new(Entropy::new([number % 3; 32]))
}

/// Who the sender is, if they showed it as they registered.
pub fn authenticated(request: &Request<Bytes>, form: &FormPairs<'_>) -> Option<usize> {
    let value = |name| form.value(name).unwrap();
    match (request.headers().get(AUTHORIZATION), value("client_id"), value("client_secret")) {
        (Some(basic), None, None) if basic == WEB_BASIC => Some(0),
        (None, Some("native"), _) => Some(1),
        (None, Some("evil"), Some("evil-secret")) => Some(2),
        _ => None,
    }
}

/// A parameter of a redirect.
pub fn parameter(answer: &Response<Bytes>, name: &'static str) -> Option<String> {
    let location = answer.headers().get(LOCATION)?.to_str().unwrap();
    let query = location.split_once('?').map_or("", |(_, query)| query);
    let form = FormPairs::parse(query.as_bytes()).unwrap();
    form.single(name).unwrap().map(str::to_owned)
}

/// A redirect leads to where the client is registered and says once who answers; every other answer is a page, and so
/// is the only one to a client that nobody knows.
pub fn look_at(answer: &Response<Bytes>, client: Option<usize>) {
    let Some(location) = answer.headers().get(LOCATION) else {
        assert!(answer.status().is_client_error(), "{}", answer.status());
        return;
    };
    let client = &CLIENTS[client.expect("I6: a redirect for nobody")];
    let location = location.to_str().unwrap();
    let rest = client.after_own(location);
    let rest = rest.unwrap_or_else(|| panic!("I6: sent to {location}"));
    let query = rest.strip_prefix(['?', '&']).expect("I6: parameters of its own");
    let form = FormPairs::parse(query.as_bytes()).unwrap();
    assert_eq!(form.all("iss").collect::<Vec<_>>(), [ISSUER], "I6: {location}");
    let states: Vec<_> = form.all("state").collect();
    assert!(states.len() < 2, "I6: {location}");
    assert_eq!(form.contains("code"), !form.contains("error"), "I6: {location}");
    assert!(!location.contains(['\r', '\n', '#']), "I6: {location}");
}

impl Client {
    /// What follows its redirect URI, which may have another port on this machine.
    pub fn after_own<'l>(&self, location: &'l str) -> Option<&'l str> {
        if let Some(rest) = location.strip_prefix(self.redirect_uri) {
            return Some(rest);
        }
        let (before, after) = self.redirect_uri.split_once("127.0.0.1")?;
        let rest = location.strip_prefix(before)?.strip_prefix("127.0.0.1:")?;
        rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix(after)
    }
}
