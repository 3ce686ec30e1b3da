//! `private_key_jwt`: the assertions that let a client in, and everything that does not.

#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::{
    Authenticated, ClientAuthError, ClientAuthRecord, ClientCredentials, FirstUse, NoUsableMethod,
    Presented, Reason, Replay, SigningKey, Verified, VerifyingKeys,
};
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, ClientId, Entropy, FormPairs, FormWriter, Issuer,
    Secret, SigningAlgorithm, UnixTime,
};
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const ISSUER: &str = "https://as.example";
const TOKEN_ENDPOINT: &str = "https://as.example/token";
const AUDIENCE: [&str; 2] = [ISSUER, TOKEN_ENDPOINT];
const ES256: &str = include_str!("keys/es256.pem");
const EDDSA: &str = include_str!("keys/eddsa.pem");
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn jwks() -> Value {
    serde_json::from_str(include_str!("keys/public.json")).unwrap()
}

fn registered(algorithm: Option<&SigningAlgorithm>) -> ClientAuthRecord {
    ClientAuthRecord::new(AuthMethod::PrivateKeyJwt)
        .with_keys(VerifyingKeys::from_jwks(&jwks(), algorithm).unwrap())
}

fn id() -> ClientId {
    ClientId::parse("c1").unwrap()
}

fn claims() -> Value {
    json!({"iss": "c1", "sub": "c1", "aud": ISSUER, "exp": NOW.as_secs() + 300,
           "iat": NOW.as_secs(), "jti": "j1"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn es256(header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_pem(ES256.as_bytes()).unwrap())
        .unwrap()
}

fn signed(claims: &Value) -> String {
    es256(&Header::new(Algorithm::ES256), claims)
}

fn body(assertion: &str) -> String {
    let mut form = FormWriter::new();
    form.append("client_assertion_type", JWT_BEARER).append("client_assertion", assertion);
    form.finish()
}

fn try_body(
    record: Option<&ClientAuthRecord>,
    body: &str,
) -> Result<FirstUse<Authenticated>, ClientAuthError> {
    let form = FormPairs::parse(body.as_bytes()).unwrap();
    let presented = Presented::parse(&HeaderMap::new(), &form)?;
    match presented.verify(record, &AUDIENCE, NOW)? {
        Verified::FirstUse(step) => Ok(step),
        Verified::Done(_) => panic!("an assertion is always checked for replay"),
    }
}

fn verify(assertion: &str) -> Result<FirstUse<Authenticated>, ClientAuthError> {
    try_body(Some(&registered(None)), &body(assertion))
}

fn reason(assertion: &str) -> Reason {
    let error = verify(assertion).unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::UNAUTHORIZED);
    error.reason()
}

/// A-AUTHN-9, SEC-085
#[test]
fn what_our_own_client_signs_is_accepted_and_has_one_audience() {
    for (algorithm, pem, kid) in
        [(SigningAlgorithm::Es256, ES256, "es256"), (SigningAlgorithm::EdDsa, EDDSA, "eddsa")]
    {
        let key = SigningKey::from_pem(algorithm, pem).unwrap().with_id(kid);
        let issuer = Issuer::parse(ISSUER).unwrap();
        let assertion = key.sign(&id(), &issuer, NOW, Entropy::new([7; 16])).unwrap();
        let mut form = FormWriter::new();
        assertion.attach(&mut form);
        let client = try_body(Some(&registered(None)), form.as_str()).unwrap();
        let client: Authenticated = client.resume(Replay::Fresh).unwrap();
        assert_eq!((client.client_id(), client.method()), (&id(), &AuthMethod::PrivateKeyJwt));
        assert!(client.is_confidential());

        let pairs = FormPairs::parse(form.as_str().as_bytes()).unwrap();
        let token = pairs.value("client_assertion").unwrap().unwrap();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["aud"], json!(ISSUER));
        assert_eq!(claims["exp"], json!(NOW.as_secs() + 300));
    }
}

/// A-AUTHN-9
#[test]
fn issuer_or_token_endpoint_alone_or_together_are_an_audience() {
    for good in
        [json!(ISSUER), json!(TOKEN_ENDPOINT), json!([ISSUER]), json!([TOKEN_ENDPOINT, ISSUER])]
    {
        assert!(verify(&signed(&with("aud", good))).is_ok());
    }
    assert!(verify(&signed(&without("iat"))).is_ok());
}

/// A-AUTHN-9, SEC-084
#[test]
fn claims_that_are_not_about_this_client_at_this_server() {
    use Reason::{MalformedAssertion, OutsideLifetime, WrongAudience, WrongIssuer};
    let now = NOW.as_secs();
    for (claims, why) in [
        (with("aud", json!("https://other.example")), WrongAudience),
        (with("aud", json!("https://as.example/")), WrongAudience),
        (with("aud", json!([ISSUER, "https://other.example"])), WrongAudience),
        (with("aud", json!([])), WrongAudience),
        (with("aud", json!([ISSUER, 1])), MalformedAssertion),
        (with("aud", json!(null)), MalformedAssertion),
        (without("aud"), MalformedAssertion),
        (without("jti"), MalformedAssertion),
        (with("jti", json!("")), MalformedAssertion),
        (with("jti", json!("x".repeat(257))), MalformedAssertion),
        (without("exp"), MalformedAssertion),
        (with("exp", json!("1900000000")), MalformedAssertion),
        (with("exp", json!(-1)), MalformedAssertion),
        (without("iss"), MalformedAssertion),
        (without("sub"), MalformedAssertion),
        (with("sub", json!("")), MalformedAssertion),
        (with("iss", json!("c2")), WrongIssuer),
        (with("exp", json!(now - 61)), OutsideLifetime),
        (with("nbf", json!(now + 61)), OutsideLifetime),
        (with("iat", json!(now + 61)), OutsideLifetime),
        (with("iat", json!(now - 7200)), OutsideLifetime),
    ] {
        assert_eq!(reason(&signed(&claims)), why, "{claims}");
    }
    let other = format!("client_id=c2&{}", body(&signed(&claims())));
    let error = try_body(Some(&registered(None)), &other).unwrap_err();
    assert_eq!(error.reason(), Reason::IdentifierMismatch);
}

/// A-AUTHN-9, SEC-086
#[test]
fn an_assertion_counts_once_and_is_remembered_until_it_expires() {
    let token = signed(&claims());
    let (first, second) = (verify(&token).unwrap(), verify(&token).unwrap());
    assert_eq!(first.key(), second.key());
    assert_eq!(first.until(), UnixTime::from_secs(NOW.as_secs() + 360));
    assert!(first.resume(Replay::Fresh).is_ok());
    let replayed = ClientAuthError::from(second.resume(Replay::Seen).unwrap_err());
    assert_eq!(replayed.reason(), Reason::Replayed);
    assert_eq!(replayed.into_response().status(), StatusCode::UNAUTHORIZED);

    // Another assertion is another key.
    let other = verify(&signed(&with("jti", json!("j2")))).unwrap();
    assert_ne!(other.key(), verify(&token).unwrap().key());
}

/// A-AUTHN-9, SEC-087
#[test]
fn the_algorithm_is_the_keys_and_the_header_chooses_nothing() {
    use Reason::{MalformedAssertion, OutsideLifetime, WrongSignature};
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    let unsigned = |header: &str| format!("{}.{}.", encode(header), encode(&claims().to_string()));
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, "null", "{}", r#"{"alg":null}"#] {
        assert_eq!(reason(&unsigned(header)), WrongSignature, "{header}");
    }
    for text in ["", "a.b", "a.b.c", "a.b.c.d", "..", "é"] {
        let error = verify(text).unwrap_err().reason();
        assert!(matches!(error, MalformedAssertion | Reason::NoIdentifier), "{text}: {error:?}");
    }

    // A shared key made of what is public: the RSA modulus, the EC point, the whole JWK Set.
    let public = jwks().to_string();
    for secret in [public.as_bytes(), jwks()["keys"][0]["x"].as_str().unwrap().as_bytes()] {
        let key = EncodingKey::from_secret(secret);
        for kid in [None, Some("es256"), Some("rs256")] {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = kid.map(str::to_owned);
            let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
            assert_eq!(reason(&token), WrongSignature);
        }
    }

    // Another algorithm than the registered one, correctly signed with the client's own key.
    let rsa = EncodingKey::from_rsa_pem(include_bytes!("keys/rs256.pem")).unwrap();
    let rsa_signed =
        |algorithm| jsonwebtoken::encode(&Header::new(algorithm), &claims(), &rsa).unwrap();
    assert!(verify(&rsa_signed(Algorithm::RS256)).is_ok());
    for other in [Algorithm::PS256, Algorithm::RS384, Algorithm::RS512] {
        assert_eq!(reason(&rsa_signed(other)), WrongSignature);
    }
    let only_eddsa = registered(Some(&SigningAlgorithm::EdDsa));
    let error = try_body(Some(&only_eddsa), &body(&signed(&claims()))).unwrap_err();
    assert_eq!(error.reason(), WrongSignature);

    let mut header = Header::new(Algorithm::ES256);
    header.crit = Some(vec!["exp".to_owned()]);
    assert_eq!(reason(&es256(&header, &claims())), WrongSignature);
    for typ in ["at+jwt", "dpop+jwt", "logout+jwt"] {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        assert_eq!(reason(&es256(&header, &claims())), WrongSignature, "{typ}");
    }
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("eddsa".to_owned());
    assert_eq!(reason(&es256(&header, &claims())), WrongSignature);

    let years = NOW.as_secs() + 10 * 365 * 24 * 3600;
    assert_eq!(reason(&signed(&with("exp", json!(years)))), OutsideLifetime);
}

/// A-AUTHN-9
#[test]
fn any_changed_byte_is_noticed() {
    let token = signed(&claims());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify(&changed).is_err(), "byte {at}");
    }
}

/// A-AUTHN-4, A-AUTHN-5, SEC-080
#[test]
fn other_clients_read_the_same() {
    let token = signed(&claims());
    let secret =
        ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(Secret::new("s").digest());
    let keyless = registered(None).with_keys(None);
    let mut replies = Vec::new();
    for (record, why) in [
        (None, Reason::UnknownClient),
        (Some(&secret), Reason::WrongMethod),
        (Some(&ClientAuthRecord::public()), Reason::WrongMethod),
        (Some(&keyless), Reason::NoStoredKeys),
    ] {
        let error = try_body(record, &body(&token)).unwrap_err();
        assert_eq!(error.reason(), why);
        let reply = error.into_response();
        replies.push(format!("{} {:?} {:?}", reply.status(), reply.headers(), reply.body()));
    }
    assert!(replies.iter().all(|reply| *reply == replies[0]));

    // A client with keys does not get in by a secret, nor by its identifier alone.
    for body in ["client_id=c1", "client_id=c1&client_secret=s"] {
        let error = try_body(Some(&registered(None)), body).unwrap_err();
        assert_eq!(error.reason(), Reason::WrongMethod);
    }
}

/// A-AUTHN-3, SEC-068
#[test]
fn an_assertion_stands_alone() {
    let token = signed(&claims());
    let twice = format!("{}&client_secret=s", body(&token));
    let error = try_body(Some(&registered(None)), &twice).unwrap_err();
    assert_eq!(error.reason(), Reason::SeveralMethods);
    assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);

    let repeated = format!("{0}&{0}", body(&token));
    let error = try_body(Some(&registered(None)), &repeated).unwrap_err();
    assert_eq!(error.reason(), Reason::RepeatedParameter);

    for kind in ["", "client_assertion_type=urn%3Asaml2-bearer&"] {
        let body = format!("{kind}client_assertion={token}");
        let error = try_body(Some(&registered(None)), &body).unwrap_err();
        assert_eq!(error.reason(), Reason::AssertionNotSupported);
    }
}

/// C-TOKEN-2, SEC-089
#[test]
fn a_key_is_used_only_where_the_server_takes_it() {
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, ES256).unwrap();
    let mut server = AuthorizationServerMetadata::new(Issuer::parse(ISSUER).unwrap());
    let choose = |server: &_| ClientCredentials::with_key(id(), &key, server).map(|_| ());
    // An absent list means Basic.
    assert_eq!(choose(&server), Err(NoUsableMethod::KeyNotAccepted));
    server.token_endpoint_auth_methods_supported = Some(vec![AuthMethod::PrivateKeyJwt]);
    assert_eq!(choose(&server), Ok(()));
    let algorithms = &mut server.token_endpoint_auth_signing_alg_values_supported;
    *algorithms = Some(vec![SigningAlgorithm::Rs256]);
    assert_eq!(choose(&server), Err(NoUsableMethod::KeyNotAccepted));
    server.token_endpoint_auth_signing_alg_values_supported = Some(vec![SigningAlgorithm::Es256]);

    // Such credentials are never shown without an assertion.
    let credentials = ClientCredentials::with_key(id(), &key, &server).unwrap();
    let (mut headers, mut form) = (HeaderMap::new(), FormWriter::new());
    assert!(credentials.attach(&mut headers, &mut form).is_err());
    assert!(headers.is_empty() && form.as_str().is_empty());
}

#[test]
fn a_key_that_cannot_sign_is_refused_when_it_is_read() {
    use client_auth::InvalidSigningKey::{Algorithm, Form};
    let read = |algorithm, pem| SigningKey::from_pem(algorithm, pem).map(|_| ()).unwrap_err();
    assert_eq!(read(SigningAlgorithm::EdDsa, ES256), Form);
    assert_eq!(read(SigningAlgorithm::Es256, EDDSA), Form);
    assert_eq!(read(SigningAlgorithm::Es256, "canary"), Form);
    assert_eq!(read(SigningAlgorithm::Es256, include_str!("keys/es384.pem")), Form);
    assert_eq!(read(SigningAlgorithm::Es384, include_str!("keys/es384.pem")), Algorithm);
    assert_eq!(read(SigningAlgorithm::Rs256, ES256), Form);
    let key = SigningKey::from_pem(SigningAlgorithm::Es256, ES256).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey(ES256, [redacted])");
}
