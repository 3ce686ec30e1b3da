//! Row bodies: they are read back, and a body of a later release is refused or read safely.

use client_auth::ClientAuthRecord;
use oauth_types::{AuthMethod, ClientMetadata, Secret, Subject, Thumbprint};
use serde_json::{Value, json};

use super::*;

fn scopes() -> ScopeSet {
    ScopeSet::parse("files:read files:write").unwrap()
}

fn client_id() -> ClientId {
    ClientId::parse("c1").unwrap()
}

fn resource() -> ResourceUri {
    ResourceUri::parse("https://rs.example/mcp").unwrap()
}

const END: UnixTime = UnixTime::from_secs(u64::MAX);

fn client() -> ClientRecord {
    let basic = AuthMethod::ClientSecretBasic;
    let authentication =
        ClientAuthRecord::new(basic).with_secret(Secret::new("canary-secret").digest());
    let mut client = ClientRecord::client_credentials(client_id(), authentication, scopes(), END);
    client.redirect_uris = vec![RedirectUri::parse_any_scheme("com.example.app:/cb").unwrap()];
    client.metadata.client_name = Some("\u{0}\"'\\ \u{1f600}".to_owned());
    client
}

fn code(jkt: Option<Thumbprint>) -> CodeRecord {
    let index = CodeIndex {
        digest: SecretDigest::of("code"),
        client_id: client_id(),
        subject: Subject::parse("user").unwrap(),
        expires_at: END,
        redeemed: Some(FamilyId::from_bytes([7; 16])),
    };
    let redirect_uri = RedirectUri::parse("https://app.example/cb").unwrap();
    let challenge = CodeChallenge::parse(&"c".repeat(43)).unwrap();
    CodeRecord { jkt, ..CodeRecord::new(index, redirect_uri, challenge, resource(), scopes()) }
}

fn family(jkt: Option<Thumbprint>) -> NewFamily {
    let access = NewAccess { jkt, ..NewAccess::new(SecretDigest::of("access"), scopes(), END) };
    let id = FamilyId::from_bytes([7; 16]);
    NewFamily {
        jkt,
        ..NewFamily::new(id, client_id(), Subject::parse("user").unwrap(), resource(), access)
    }
}

fn consent() -> ConsentRecord {
    ConsentRecord {
        key: SecretDigest::of("key"),
        subject: Subject::parse("user").unwrap(),
        client_id: client_id(),
        scopes: scopes(),
        metadata: SecretDigest::of("metadata"),
        until: END,
    }
}

fn read_client(body: &RecordBody) -> Result<ClientRecord, StoreError> {
    let ClientRecord { client_id, unused_until, of_operator, .. } = client();
    ClientRecord::from_row(ClientIndex { client_id, unused_until, of_operator }, body)
}

fn read_code(body: &RecordBody) -> Result<CodeRecord, StoreError> {
    let CodeRecord { digest, client_id, subject, expires_at, redeemed, .. } = code(None);
    CodeRecord::from_row(CodeIndex { digest, client_id, subject, expires_at, redeemed }, body)
}

fn read_family(body: &RecordBody) -> Result<FamilyRecord, StoreError> {
    let family = FamilyRecord::new(family(None), END);
    let index = FamilyIndex {
        client_id: family.client_id,
        subject: family.subject,
        resource: family.resource,
        expires_at: family.expires_at,
        idle_until: family.idle_until,
        generation: family.generation,
        rotated_at: family.rotated_at,
        revoked: family.revoked,
    };
    FamilyRecord::from_row(index, body)
}

fn read_access(family_body: &RecordBody, body: &RecordBody) -> Result<AccessRecord, StoreError> {
    let family = family(None);
    let index = AccessIndex {
        family: family.id,
        client_id: family.client_id,
        subject: family.subject,
        resource: family.resource,
        expires_at: family.access.expires_at,
    };
    AccessRecord::from_rows(index, family_body, body)
}

fn read_consent(body: &RecordBody) -> Result<ConsentRecord, StoreError> {
    let ConsentRecord { key, subject, client_id, until, .. } = consent();
    ConsentRecord::from_row(ConsentIndex { key, subject, client_id, until }, body)
}

type IsRead = fn(&RecordBody) -> bool;

/// One body of each kind, with a function that returns `true` if it is read.
fn bodies() -> [(RecordBody, IsRead); 5] {
    let family = family(None);
    [
        (client().body().unwrap(), |body| read_client(body).is_ok()),
        (code(None).body().unwrap(), |body| read_code(body).is_ok()),
        (family.body().unwrap(), |body| read_family(body).is_ok()),
        (family.access.body().unwrap(), |body| read_access(body, body).is_ok()),
        (consent().body().unwrap(), |body| read_consent(body).is_ok()),
    ]
}

fn changed(body: &RecordBody, change: impl FnOnce(&mut Value)) -> RecordBody {
    let mut value = serde_json::from_str(body.as_str()).unwrap();
    change(&mut value);
    RecordBody::from_stored(value.to_string())
}

#[test]
fn a_record_is_read_back_from_its_index_and_body() {
    assert_eq!(read_client(&client().body().unwrap()), Ok(client()));
    assert_eq!(read_consent(&consent().body().unwrap()), Ok(consent()));
    for jkt in [None, Some(Thumbprint::from_bytes([0xaf; 32]))] {
        let (code, family) = (code(jkt), family(jkt));
        assert_eq!(read_code(&code.body().unwrap()), Ok(code));
        let (body, access) = (family.body().unwrap(), family.access.body().unwrap());
        assert_eq!(read_family(&body), Ok(FamilyRecord::new(family.clone(), END)));
        let known = read_access(&body, &access).unwrap();
        assert_eq!((known.scopes, known.jkt, known.expires_at), (scopes(), jkt, END));
    }
}

/// The text that this release stores must not change, because all later releases read it.
#[test]
fn the_format_of_version_1() {
    let jkt = Some(Thumbprint::from_bytes([0xaf; 32]));
    let hex = "af".repeat(32);
    let challenge = "c".repeat(43);
    assert_eq!(
        code(jkt).body().unwrap().as_str(),
        format!(
            r#"{{"v":1,"redirect_uri":"https://app.example/cb","challenge":"{challenge}","resource":"https://rs.example/mcp","scopes":"files:read files:write","jkt":"{hex}"}}"#
        )
    );
    assert_eq!(
        family(jkt).body().unwrap().as_str(),
        format!(r#"{{"v":1,"scopes":"files:read files:write","jkt":"{hex}"}}"#)
    );
    assert_eq!(
        family(None).access.body().unwrap().as_str(),
        r#"{"v":1,"scopes":"files:read files:write"}"#
    );
    let mut hashed = client();
    hashed.authentication = ClientAuthRecord::new(AuthMethod::None).with_secret_hash("$2b$12$x");
    (hashed.redirect_uris, hashed.metadata) = (Vec::new(), ClientMetadata::new(&[]));
    let hashed_text = hashed.body().unwrap();
    assert!(hashed_text.as_str().starts_with(
        r#"{"v":1,"authentication":{"method":"none","secret":null,"secret_expires_at":null,"secret_hash":"$2b$12$x"},"redirect_uris":[],"#
    ));
    assert_eq!(read_client(&hashed_text).unwrap().authentication, hashed.authentication);
    let stored = r#"{"v":1,"authentication":{"method":"none","secret":null,"secret_expires_at":null},"redirect_uris":["https://app.example/cb"],"metadata":{"scope":"files:read"},"registered_at":1000000}"#;
    let read = read_client(&RecordBody::from_stored(stored)).unwrap();
    assert_eq!(read.authentication, ClientAuthRecord::public());
    assert_eq!(read.metadata.scope, ScopeSet::parse("files:read").ok());
    assert_eq!(read.metadata.redirect_uris, ClientMetadata::new(&[]).redirect_uris);
}

#[test]
fn a_member_of_a_newer_release_is_passed_over() {
    for (body, is_read) in bodies() {
        let newer = changed(&body, |body| body["acr"] = json!({"of": ["a", "newer", "release"]}));
        assert!(is_read(&newer), "{}", newer.as_str());
    }
}

#[test]
fn a_body_that_must_not_be_misread_is_refused() {
    for (body, is_read) in bodies() {
        assert!(is_read(&body));
        for version in [json!(0), json!(2), json!(-1), json!("1"), json!(null), json!(1.5)] {
            assert!(!is_read(&changed(&body, |body| body["v"] = version)));
        }
        let scopes = |body: &mut Value| body["scopes"] = json!("\"");
        let uris = |body: &mut Value| body["redirect_uris"] = json!(["nowhere"]);
        assert!(!is_read(&changed(&body, |body| {
            scopes(body);
            uris(body);
        })));
        for text in ["", "{}", "null", "[]", r#"{"v":1}"#] {
            assert!(!is_read(&RecordBody::from_stored(text)), "{text}");
        }
        assert!(!is_read(&RecordBody::from_stored(format!("{}x", body.as_str()))));
        let long = format!("{}{}", body.as_str(), " ".repeat(RecordBody::MAX_BYTES));
        assert!(!is_read(&RecordBody::from_stored(long)));
    }
    let bound = family(Some(Thumbprint::from_bytes([0xaf; 32]))).body().unwrap();
    for jkt in ["", "af", &"AF".repeat(32), &"ag".repeat(32), &"a".repeat(63), &"a".repeat(65)] {
        let wrong = changed(&bound, |body| body["jkt"] = json!(jkt));
        assert_eq!(read_family(&wrong), Err(StoreError::Corrupt), "{jkt}");
    }
}

#[test]
fn a_body_of_a_later_release_is_no_damage() {
    let body = family(None).body().unwrap();
    let later = |version| read_family(&changed(&body, |body| body["v"] = json!(version)));
    assert_eq!(later(2), Err(StoreError::Unavailable), "a process of that release reads it");
    assert_eq!(later(0), Err(StoreError::Corrupt));
}

#[test]
fn a_record_that_could_not_be_read_back_is_not_stored() {
    let mut long = client();
    long.metadata.client_name = Some("a".repeat(RecordBody::MAX_BYTES));
    assert_eq!(long.body(), Err(StoreError::Unavailable));
}

#[test]
fn debug_output_of_a_body_holds_nothing_of_it() {
    let body = client().body().unwrap();
    assert_eq!(format!("{body:?}"), format!("RecordBody({} bytes)", body.as_str().len()));
}
