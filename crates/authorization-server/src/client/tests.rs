//! Tests of the metadata digest that a consent is bound to.

use super::*;

fn client(name: &str, redirect_uris: &[&str], jwks: Option<&str>) -> ClientRecord {
    let uris = redirect_uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
    let authentication = match jwks.map(|jwks| jwks.parse().unwrap()) {
        Some(jwks) => ClientAuthRecord::new(AuthMethod::PrivateKeyJwt)
            .with_keys(VerifyingKeys::from_jwks(&jwks, None).unwrap()),
        None => ClientAuthRecord::public(),
    };
    let mut metadata = ClientMetadata::new(&[]);
    metadata.client_name = Some(name.to_owned());
    ClientRecord {
        client_id: ClientId::parse("https://c.example/m").unwrap(),
        authentication,
        redirect_uris: uris,
        metadata,
        registered_at: UnixTime::from_secs(1),
        unused_until: None,
        of_operator: false,
    }
}

#[test]
fn what_was_agreed_to_has_a_digest_of_its_own() {
    let (a, b) = ("https://c.example/a", "https://c.example/b");
    let key = |x: char| {
        let x = x.to_string().repeat(42);
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"{x}A"}}]}}"#)
    };
    let agreed = client("C", &[a, b], None);
    let mut same = client("C", &[b, a], None);
    same.registered_at = UnixTime::from_secs(9);
    assert_eq!(same.metadata_digest(), agreed.metadata_digest());
    let mut others = vec![
        client("D", &[a, b], None),
        client("C", &[a], None),
        client("C", &[a, b, "http://localhost/cb"], None),
        client("C", &[a, b], Some(&key('A'))),
        client("C", &[a, b], Some(&key('B'))),
        client("C", &[a, b], None),
    ];
    others.push(agreed);
    others[5].client_id = ClientId::parse("https://c.example/n").unwrap();
    let digests: std::collections::BTreeSet<_> =
        others.iter().map(ClientRecord::metadata_digest).collect();
    assert_eq!(digests.len(), others.len());
}
