//! What a stranger may send, and who reads it: each as long as it is read at most, made of one piece again and again.

use std::hint::black_box;
use std::sync::LazyLock;

use authorization_server::{
    AuthorizationRequest, ClientRecord, Config, Environment, MemoryStore, ServerKey, ServerKeys,
    register, token,
};
use bytes::Bytes;
use client_auth::{BasicCredentials, ClientAuthRecord, Presented, PresentedProof, VerifyingKeys};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use iss_validate::{Callback, Expected};
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, BearerChallenge, Challenges, ClientId, ClientMetadata,
    ClientMetadataUrl, EndpointUrl, Entropy, ErrorResponse, FormPairs, Issuer, JwkSet,
    ProtectedResourceMetadata, RedirectUri, ResourceUri, ScopeSet, Secret, State, TokenErrorCode,
    TokenResponse, UnixTime,
};
use resource_server::{Introspection, JwtTokens, OperationScopes, Resource};
use scope_stepup::Operation;
use tests::world::now_or_never;

pub(crate) struct Case {
    /// Who reads it.
    pub(crate) name: &'static str,
    pub(crate) start: &'static str,
    pub(crate) piece: &'static str,
    pub(crate) end: &'static str,
    /// The length of the longest that is read or, where it has no bound of its own, of one that tells.
    pub(crate) longest: usize,
    pub(crate) read: fn(&str),
}

const fn case(
    name: &'static str,
    (start, piece, end): (&'static str, &'static str, &'static str),
    longest: usize,
    read: fn(&str),
) -> Case {
    Case { name, start, piece, end, longest, read }
}

const KIB: usize = 1024;
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const PUBLIC: &str = include_str!("../../../crates/client-auth/tests/keys/public.json");
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    case("challenge", ("", ",", ""), 8 * KIB, challenge),
    case("challenge", ("", "Bearer ", ""), 8 * KIB, challenge),
    case("challenge", ("", "Bearer,", ""), 8 * KIB, challenge),
    case("challenge", ("", "a=b,", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer ", "a#=b,", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer ", "a=\"b\",", ""), 8 * KIB, challenge),
    case("challenge", ("", "Bearer a=\"b\",", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer scope=\"", "\\a", "\""), 8 * KIB, challenge),
    case("challenge", ("Bearer scope=\"", "\\", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer ", "a=\"", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer scope=\"", "a# ", "\""), 8 * KIB, challenge),
    case("challenge", ("Bearer a", "=", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer a", " ", ""), 8 * KIB, challenge),
    case("challenge", ("Bearer a", " ,\t", "=b"), 8 * KIB, challenge),
    case("challenge", ("", "Bearer a=b\n", ""), 8 * KIB, challenge),
    case("challenge", ("", "Basic realm=\"Bearer\"\n", ""), 8 * KIB, challenge),
    case("form", ("", "&", ""), 64 * KIB, form),
    case("form", ("", "a&", ""), 64 * KIB, form),
    case("form", ("", "a#=b&", ""), 64 * KIB, form),
    case("form", ("a=", "%41", ""), 8 * KIB, form),
    case("form", ("a=", "%", ""), 8 * KIB, form),
    case("form", ("a=", "%F0%9F", ""), 8 * KIB, form),
    case("form", ("a=", "=", ""), 8 * KIB, form),
    case("form", ("a=", "+", ""), 8 * KIB, form),
    case("Basic", ("Basic ", "Og", ""), 8 * KIB, basic),
    case("Basic", ("Basic ", "OjolJTQx", ""), 8 * KIB, basic),
    case("Basic", ("Basic ", "=", ""), 8 * KIB, basic),
    case("Basic", ("Basic ", " ", ""), 8 * KIB, basic),
    case("scope", ("", "a ", "a"), 8 * KIB, scope),
    case("scope", ("", "a# ", "a"), 8 * KIB, scope),
    case("scope", ("", " ", ""), 8 * KIB, scope),
    case("scope", ("", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa# ", "a"), 8 * KIB, scope),
    case("URI", ("https://a.example/", "a/", ""), 2 * KIB, uri),
    case("URI", ("https://a.example/", "../", ""), 2 * KIB, uri),
    case("URI", ("https://a.example/", "%41", ""), 2 * KIB, uri),
    case("URI", ("https://a.example/", "%", ""), 2 * KIB, uri),
    case("URI", ("https://a.example/?", "a#=b&", ""), 2 * KIB, uri),
    case("URI", ("https://", "a.", "example"), 2 * KIB, uri),
    case("URI", ("https://", "xn--", ".example"), 2 * KIB, uri),
    case("URI", ("https://", "@", ""), 2 * KIB, uri),
    case("URI", ("https://", ":", ""), 2 * KIB, uri),
    case("URI", ("https://[", ":", "]/"), 2 * KIB, uri),
    case("URI", ("", "a.", ":/"), 2 * KIB, uri),
    case("callback", ("", "&", ""), 64 * KIB, callback),
    case("callback", ("", "state=a&", ""), 64 * KIB, callback),
    case("callback", ("error_description=", "%5C", ""), 8 * KIB, callback),
    case("documents", ("{", "\"a#\":1,", "\"a\":1}"), 16 * KIB, documents),
    case("documents", ("{", "\"a\":1,", "\"a\":1}"), 16 * KIB, documents),
    case("documents", ("", "[", ""), 128 * KIB, documents),
    case("documents", ("", "{\"a\":", ""), 128 * KIB, documents),
    case("documents", ("{\"a\":\"", "\\u0041", "\"}"), 128 * KIB, documents),
    case("documents", ("{\"a\":\"", "\\", "\"}"), 128 * KIB, documents),
    case("documents", ("{\"client_name\":\"", "\u{202e}", "\"}"), 128 * KIB, documents),
    case("documents", ("{\"a\":[", "1,", "1]}"), 128 * KIB, documents),
    case("documents", ("{\"a\":", "1", "}"), 128 * KIB, documents),
    case("documents", ("{\"issuer\":\"https://a.example\",\"scopes_supported\":[", "\"a#\",", "\"a\"]}"), 128 * KIB, documents),
    case("documents", ("{\"resource\":\"https://a.example\",\"authorization_servers\":[", "\"https://a.example\",", "\"https://a.example\"]}"), 128 * KIB, documents),
    case("documents", ("{\"redirect_uris\":[", "\"https://a.example/#\",", "\"https://a.example\"]}"), 128 * KIB, documents),
    case("documents", ("{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"scope\":\"", "a# ", "a\"}"), 8 * KIB, documents),
    case("documents", ("{\"keys\":[", "{\"kty\":\"EC\",\"kid\":\"#\"},", "{}]}"), 128 * KIB, documents),
    case("a client's document", ("{\"client_id\":\"https://c.example/m\",\"redirect_uris\":[", "\"https://c.example/#\",", "\"https://c.example/\"]}"), 5 * KIB, client_document),
    case("a registration", ("{\"redirect_uris\":[", "\"https://c.example/#\",", "\"https://c.example/\"]}"), 64 * KIB, registration),
    case("a registration", ("{\"client_name\":\"", "\\u202e", "\",\"redirect_uris\":[\"https://c.example/\"]}"), 64 * KIB, registration),
    case("a registration", ("{\"jwks\":{\"keys\":[", "{\"kty\":\"EC\",\"kid\":\"#\"},", "{}]}}"), 64 * KIB, registration),
    case("an authorization request", ("", "scope=a&", ""), 64 * KIB, authorization),
    case("an authorization request", ("client_id=c&", "resource=https://rs.example/mcp&", ""), 64 * KIB, authorization),
    case("a token request", ("grant_type=refresh_token&", "a#=b&", ""), 64 * KIB, token_request),
    case("a token request", ("grant_type=", "a", ""), 8 * KIB, token_request),
    case("a JWT", ("", "a.", ""), 16 * KIB, jwt),
    case("a JWT", ("", "eyJhbGciOiJFUzI1NiJ9.", ""), 16 * KIB, jwt),
    case("a JWT", ("", "W1tb", ".a.a"), 16 * KIB, jwt),
    case("a JWT", ("eyJhIjoi", "XFxc", ".a.a"), 16 * KIB, jwt),
    case("a proof", ("", "a.", ""), 4 * KIB, proof),
    case("a proof", ("", "W1tb", ".a.a"), 4 * KIB, proof),
    case("a proof", ("eyJhIjoi", "XFxc", ".a.a"), 4 * KIB, proof),
    case("an MCP message", ("", "[", ""), 64 * KIB, message),
    case("an MCP message", ("[", "{},", "{}]"), 64 * KIB, message),
    case("an MCP message", ("{\"params\":{", "\"a#\":1,", "\"name\":\"a\"},\"method\":\"tools/call\"}"), 64 * KIB, message),
    case("an MCP message", ("{", "\"method\":\"tools/call\",", "\"params\":{}}"), 64 * KIB, message),
    case("an MCP message", ("{\"method\":\"", "\\u0041", "\"}"), 64 * KIB, message),
    case("an MCP message", ("{\"params\":", "{\"a\":", ""), 64 * KIB, message),
    case("an MCP header", ("", ",", ""), 8 * KIB, mcp_header),
    case("an MCP header", ("=?base64?", "YQ", "?="), 8 * KIB, mcp_header),
    case("an MCP header", ("", "=?base64?", ""), 8 * KIB, mcp_header),
    case("a host", ("", ":", ""), 8 * KIB, host),
    case("a host", ("", "a.", "example"), 8 * KIB, host),
    case("a host", ("", "[", "]"), 8 * KIB, host),
    case("an authorization", ("Bearer ", "a", ""), 8 * KIB, authorization_header),
    case("an authorization", ("Bearer", " ", "a"), 8 * KIB, authorization_header),
    case("an authorization", ("Bearer ", "=", ""), 8 * KIB, authorization_header),
    case("an introspection answer", ("{\"active\":true,\"client_id\":\"c\",\"aud\":[", "\"https://rs.example/#\",", "\"a\"]}"), 128 * KIB, introspection),
    case("an introspection answer", ("{\"active\":true,\"client_id\":\"c\",\"scope\":\"", "a# ", "\"}"), 128 * KIB, introspection),
    case("an introspection answer", ("{\"active\":true,", "\"a#\":1,", "\"a\":1}"), 128 * KIB, introspection),
    case("an introspection answer", ("{", "\"active\":true,", "\"a\":1}"), 128 * KIB, introspection),
];

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn challenge(text: &str) {
    let lines = text.split('\n').map(|line| (WWW_AUTHENTICATE, header(line)));
    let headers: HeaderMap = lines.fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name, value);
        headers
    });
    for challenge in Challenges::new(&headers).flatten() {
        let _ = black_box(challenge.param("scope").map(|value| value.map(|text| text.to_text())));
        for (_, value) in challenge.params() {
            black_box(value.to_text());
        }
    }
    let _ = black_box(BearerChallenge::from_headers(&headers));
}

fn form(text: &str) {
    if let Ok(form) = FormPairs::parse(text.as_bytes()) {
        let _ = black_box((form.single("scope"), form.value("state"), form.contains("iss")));
    }
}

fn basic(text: &str) {
    let _ = black_box(BasicCredentials::decode(&header(text)));
}

fn scope(text: &str) {
    if let Ok(scopes) = ScopeSet::parse(text) {
        let _ =
            black_box((scopes.union(&scopes), scopes.exceeds(&scopes), scopes.difference(&scopes)));
    }
}

fn uri(text: &str) {
    let _ = black_box((EndpointUrl::parse(text), Issuer::parse(text)));
    let _ = black_box((ClientId::parse(text), ClientMetadataUrl::parse(text)));
    if let Ok(uri) = RedirectUri::parse(text) {
        let _ = black_box((uri.is_native(), uri.display_host().len()));
    }
    if let Ok(uri) = ResourceUri::parse(text) {
        black_box(uri.covers(&uri));
    }
}

fn callback(text: &str) {
    let state = State::new(Entropy::new([7; 32]));
    let issuer = Issuer::parse("https://as.example").unwrap();
    let expected = Expected::new(issuer, state).with_iss_advertised(true);
    let _ = black_box(Callback::from_query(text).validate(&expected));
}

fn documents(text: &str) {
    let text = text.as_bytes();
    let _ = black_box(AuthorizationServerMetadata::from_json(text));
    let _ = black_box(ProtectedResourceMetadata::from_json(text));
    let _ = black_box(ClientMetadata::from_json(text));
    let _ = black_box(ErrorResponse::<TokenErrorCode>::from_json(text));
    let _ = black_box(TokenResponse::from_json(text));
    let _ = black_box(JwkSet::from_json(text));
}

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let scopes = ScopeSet::parse("files:read").unwrap();
    Config::new(issuer, vec![resource], scopes, keys).unwrap().with_client_documents()
});

fn post(path: &str, kind: &'static str, text: &str) -> Request<Bytes> {
    let request = Request::post(path).header(CONTENT_TYPE, kind);
    request.body(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn client_document(text: &str) {
    let url = ClientMetadataUrl::parse("https://c.example/m").unwrap();
    let answer = Response::builder().header(CONTENT_TYPE, JSON);
    let answer = answer.body(Bytes::copy_from_slice(text.as_bytes())).unwrap();
    let _ = black_box(ClientRecord::from_document(&CONFIG, &url, &answer, NOW));
}

/// A host with an empty store.
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

fn registration(text: &str) {
    let request = post("/register", JSON, text);
    let _ = black_box(now_or_never(register(&CONFIG, &Host::default(), &request, NOW)));
}

fn authorization(text: &str) {
    let _ = black_box(AuthorizationRequest::parse(&CONFIG, &post("/authorize", FORM, text)));
}

fn token_request(text: &str) {
    let request = post("/token", FORM, text);
    let _ = black_box(now_or_never(token(&CONFIG, &Host::default(), &request, NOW)));
}

fn jwt(text: &str) {
    static TOKENS: LazyLock<JwtTokens> = LazyLock::new(|| {
        let keys = JwkSet::from_json(PUBLIC.as_bytes()).unwrap();
        JwtTokens::with_keys(Issuer::parse("https://as.example").unwrap(), &keys).unwrap()
    });
    static CLIENT: LazyLock<ClientAuthRecord> = LazyLock::new(|| {
        ClientAuthRecord::new(AuthMethod::PrivateKeyJwt)
            .with_keys(VerifyingKeys::from_jwks(&PUBLIC.parse().unwrap(), None).unwrap())
    });
    let _ = black_box(TOKENS.verify(&Secret::new(text), NOW));
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let form = format!("client_assertion_type={kind}&client_assertion={text}");
    if let Ok(form) = FormPairs::parse(form.as_bytes())
        && let Ok(presented) = Presented::parse(&HeaderMap::new(), &form)
    {
        let _ = black_box(presented.verify(Some(&CLIENT), &["https://as.example"], NOW));
    }
}

fn proof(text: &str) {
    let headers = HeaderMap::from_iter([(HeaderName::from_static("dpop"), header(text))]);
    if let Ok(Some(proof)) = PresentedProof::parse(&headers) {
        let url = "https://as.example/token";
        let _ = black_box(proof.verify(&Method::POST, url, None, NOW));
    }
}

fn message(text: &str) {
    let _ = black_box(Operation::of_body(text.as_bytes()));
}

static RESOURCE: LazyLock<Resource> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://as.example").unwrap();
    Resource::new(ResourceUri::parse("http://127.0.0.1:8000/mcp").unwrap(), vec![issuer]).unwrap()
});
static SCOPES: LazyLock<OperationScopes> =
    LazyLock::new(|| OperationScopes::new("files:read").unwrap());

fn mcp_header(text: &str) {
    let mut headers = HeaderMap::new();
    headers.insert("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
    headers.insert("mcp-method", HeaderValue::from_static("tools/call"));
    headers.insert("mcp-name", header(text));
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
    let _ = black_box(SCOPES.required_for(&headers, body));
    headers.insert("mcp-protocol-version", header(text));
    headers.insert("mcp-session-id", header(text));
    let _ = black_box(SCOPES.required_for(&headers, body));
}

fn host(text: &str) {
    for name in [HOST, ORIGIN] {
        let mut request = Request::new(());
        request.headers_mut().insert(HOST, HeaderValue::from_static("127.0.0.1:8000"));
        request.headers_mut().insert(name, header(text));
        let _ = black_box(RESOURCE.present(&request, SCOPES.base()).map(drop));
    }
}

fn authorization_header(text: &str) {
    let mut request = Request::new(());
    request.headers_mut().insert(HOST, HeaderValue::from_static("127.0.0.1:8000"));
    request.headers_mut().insert(AUTHORIZATION, header(text));
    let _ = black_box(RESOURCE.present(&request, SCOPES.base()).map(drop));
}

fn introspection(text: &str) {
    static ASKING: LazyLock<Introspection> = LazyLock::new(|| {
        let issuer = Issuer::parse("https://as.example").unwrap();
        Introspection::new(issuer, ClientId::parse("rs").unwrap(), Secret::new("s"))
    });
    let answer = Response::builder().header(CONTENT_TYPE, JSON);
    let answer = answer.body(Bytes::copy_from_slice(text.as_bytes())).unwrap();
    let _ = black_box(ASKING.read(&answer, NOW));
}
