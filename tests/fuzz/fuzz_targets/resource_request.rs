//! Who gets to a resource is who a slow and obvious reading of the request would let in; with a bound token once.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use client_auth::{NonceKey, ProofKey};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use oauth_types::{
    BearerChallenge, ClientId, Entropy, Issuer, ResourceUri, ScopeSet, Secret, Subject, Thumbprint,
    UnixTime,
};
use resource_server::{Denial, AuthInfo, Recognition, Resource, SeenProofs, AccessTokenInfo};
use scope_stepup::NoHierarchy;

const NOW: u64 = 1_800_000_000;
const MCP: &str = "https://rs.example/mcp";

static KEYS: LazyLock<[ProofKey; 2]> = LazyLock::new(|| {
    [
        include_str!("../../../crates/client-auth/tests/keys/es256.pem"),
        include_str!("../../../crates/client-auth/tests/keys/es256-other.pem"),
    ]
    .map(|pem| ProofKey::from_pem(pem).unwrap())
});

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Mode {
    Bearer,
    Both,
    Required,
    Nonces,
}

#[derive(Arbitrary, Debug)]
enum Line<'a> {
    Raw(&'a [u8]),
    Shown { is_dpop: bool, spaces: u8, token: &'a str },
}

impl Line<'_> {
    fn value(&self) -> Option<HeaderValue> {
        match self {
            Self::Raw(bytes) => HeaderValue::from_bytes(bytes).ok(),
            Self::Shown { is_dpop, spaces, token } => {
                let scheme = if *is_dpop { "DPoP" } else { "Bearer" };
                let spaces = " ".repeat(usize::from(spaces % 3));
                HeaderValue::from_str(&format!("{scheme}{spaces}{token}")).ok()
            }
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Nonce<'a> {
    None,
    Fresh,
    Old,
    Raw(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Signed<'a> {
    by_other: bool,
    for_get: bool,
    for_sibling: bool,
    /// Another token than the one that is shown.
    for_token: Option<&'a str>,
    age: i16,
    nonce: Nonce<'a>,
    /// Changes one byte of the proof.
    flip: Option<(u16, u8)>,
}

#[derive(Arbitrary, Debug)]
enum Proof<'a> {
    Raw(&'a [u8]),
    Signed(Signed<'a>),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    mode: Mode,
    lines: Vec<Line<'a>>,
    proofs: Vec<Proof<'a>>,
    is_get: bool,
    is_sibling: bool,
    query: Option<&'a str>,
    /// Whose key the token is bound to, if somebody knows the token.
    known: Option<Option<bool>>,
}

fn resource(mode: Mode) -> Resource {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = Resource::new(ResourceUri::parse(MCP).unwrap(), vec![issuer]).unwrap();
    match mode {
        Mode::Bearer => resource,
        Mode::Both => resource.with_dpop(),
        Mode::Required => resource.with_dpop_required(),
        Mode::Nonces => resource.with_dpop_nonces(Entropy::new([9; 32])),
    }
}

fn nonce(nonce: &Nonce<'_>) -> Option<HeaderValue> {
    let made = |age| NonceKey::new(Entropy::new([9; 32])).nonce(UnixTime::from_secs(NOW - age));
    match nonce {
        Nonce::None => None,
        Nonce::Fresh => HeaderValue::from_str(&made(300)).ok(),
        Nonce::Old => HeaderValue::from_str(&made(301)).ok(),
        Nonce::Raw(text) => HeaderValue::from_str(text).ok().filter(|text| text.to_str().is_ok()),
    }
}

fn prove(signed: &Signed<'_>, shown: &str) -> Option<HeaderValue> {
    let method = if signed.for_get { Method::GET } else { Method::POST };
    let url = if signed.for_sibling { "https://rs.example/mcp/x" } else { MCP };
    let token = Secret::new(signed.for_token.unwrap_or(shown));
    let at = UnixTime::from_secs(NOW.checked_add_signed(-i64::from(signed.age))?);
    let (nonce, draw) = (nonce(&signed.nonce), Entropy::new([7; 16]));
    let key = &KEYS[usize::from(signed.by_other)];
    let proof = key.prove(&method, url, Some(&token), nonce.as_ref(), at, draw).ok()?;
    let mut bytes = proof.as_bytes().to_vec();
    if let Some((at, mask)) = signed.flip {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= mask;
    }
    HeaderValue::from_bytes(&bytes).ok()
}

/// The token of a line in this scheme, read slowly.
fn token<'a>(line: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = line.split_once(' ')?;
    let token = rest.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let is_token = !body.is_empty() && body.chars().all(is_allowed);
    (name.eq_ignore_ascii_case(scheme) && is_token).then_some(token)
}

fn is_let_in(input: &Input<'_>, request: &Request<()>) -> bool {
    let lines: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
    let [line] = lines[..] else { return false };
    let Ok(line) = line.to_str() else { return false };
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|pair| pair == "access_token" || pair.starts_with("access_token=")) {
        return false;
    }
    let Some(bound) = input.known else { return false };
    if token(line, "Bearer").is_some() {
        return bound.is_none() && input.mode != Mode::Required;
    }
    let (Some(shown), Some(by_other)) = (token(line, "DPoP"), bound) else { return false };
    let [Proof::Signed(proof)] = &input.proofs[..] else { return false };
    input.mode != Mode::Bearer
        && proof.by_other == by_other
        && proof.for_get == input.is_get
        && proof.for_sibling == input.is_sibling
        && proof.for_token.is_none_or(|token| token == shown)
        && (-60..120).contains(&proof.age)
        && (input.mode != Mode::Nonces || matches!(proof.nonce, Nonce::Fresh))
        && proof.flip.is_none_or(|(_, mask)| mask == 0)
}

fn decide(
    resource: &Resource,
    request: &Request<()>,
    facts: Option<Arc<AccessTokenInfo>>,
    seen: &mut SeenProofs,
) -> Result<AuthInfo, Denial> {
    let (scopes, now) = (ScopeSet::parse("read").unwrap(), UnixTime::from_secs(NOW));
    let presented = resource.present(request, &scopes)?;
    let recognized = match presented.recognize(facts, &scopes, now)? {
        Recognition::Done(recognized) => recognized,
        Recognition::CheckProof(step) => {
            let step = step.prove(request.method(), request.uri().path(), now)?;
            let replay = seen.put_once(&step, now)?;
            step.resume(replay)?
        }
    };
    recognized.authorize(&scopes, &NoHierarchy)
}

fuzz_target!(|input: Input<'_>| {
    let path = if input.is_sibling { "/mcp/x" } else { "/mcp" };
    let uri = match input.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let Ok(mut request) = Request::builder().uri(uri).body(()) else { return };
    if request.uri().path() != path {
        return;
    }
    *request.method_mut() = if input.is_get { Method::GET } else { Method::POST };
    let headers = request.headers_mut();
    for line in input.lines.iter().filter_map(Line::value) {
        headers.append(AUTHORIZATION, line);
    }
    let shown = headers.get(AUTHORIZATION).and_then(|line| line.to_str().ok());
    let shown = shown.and_then(|line| token(line, "DPoP")).unwrap_or("x").to_owned();
    for proof in &input.proofs {
        let value = match proof {
            Proof::Raw(bytes) => HeaderValue::from_bytes(bytes).ok(),
            Proof::Signed(signed) => prove(signed, &shown),
        };
        let Some(value) = value else { return };
        headers.append("dpop", value);
    }
    let resource = resource(input.mode);
    let facts = input.known.map(|bound| {
        let key = bound.map(|by_other| KEYS[usize::from(by_other)].thumbprint());
        Arc::new(
            AccessTokenInfo::new(
                Subject::parse("alice").unwrap(),
                ClientId::parse("c").unwrap(),
                Issuer::parse("https://as.example").unwrap(),
            )
            .with_scopes(ScopeSet::parse("read").unwrap())
            .with_audience([resource.uri().clone()])
            .with_expires_at(UnixTime::from_secs(NOW).saturating_add(Duration::from_secs(1)))
            .with_jkt(key.map(|key| Thumbprint::parse(key).unwrap())),
        )
    });
    let mut seen = SeenProofs::new(100);
    let outcome = decide(&resource, &request, facts.clone(), &mut seen);
    assert_eq!(outcome.is_ok(), is_let_in(&input, &request), "{outcome:?}");
    match outcome {
        Ok(granted) => {
            let again = decide(&resource, &request, facts, &mut seen);
            assert_eq!(again.is_ok(), granted.key().is_none(), "a proof counts once");
        }
        Err(denial) => {
            let response = denial.into_response();
            let headers = response.headers();
            let dpop = BearerChallenge::from_dpop_headers(headers);
            let asks = dpop.as_ref().and_then(|dpop| dpop.error.as_ref());
            let asks = asks.is_some_and(|error| error.as_str() == "use_dpop_nonce");
            assert_eq!(asks, headers.contains_key("dpop-nonce"));
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), {
                let status = response.status();
                status == StatusCode::UNAUTHORIZED || status == StatusCode::BAD_REQUEST
            });
            // Clients that know no other scheme find it on the first line, or nowhere.
            let first = headers.get(WWW_AUTHENTICATE).unwrap().to_str().unwrap();
            let bearer = BearerChallenge::from_headers(headers);
            assert_eq!(first.starts_with("Bearer "), bearer.is_some());
            assert!(input.mode != Mode::Required || bearer.is_none());
            for challenge in [bearer, dpop].into_iter().flatten() {
                assert!(challenge.resource_metadata.is_some());
            }
        }
    }
});
