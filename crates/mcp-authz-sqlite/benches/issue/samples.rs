//! What is stored.

use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{CodeRecord, FamilyId, NewAccess, NewFamily};
use oauth_types::{
    ClientId, CodeVerifier, RedirectUri, ResourceUri, ScopeSet, SecretDigest, Subject, UnixTime,
};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_000_000);

pub(crate) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap()
}

pub(crate) fn many_id(number: u64) -> FamilyId {
    FamilyId::from_bytes((u128::MAX / 2 + u128::from(number)).to_be_bytes())
}

pub(crate) fn code_digest(number: u64) -> SecretDigest {
    SecretDigest::of(&format!("code {number}"))
}

fn client_id() -> ClientId {
    ClientId::parse("client-1").unwrap()
}

pub(crate) fn code(number: u64) -> CodeRecord {
    let index = CodeIndex {
        digest: code_digest(number),
        client_id: client_id(),
        subject: Subject::try_from(format!("user {number}")).unwrap(),
        expires_at: UnixTime::from_secs(1_000_060),
        redeemed: None,
    };
    let redirect_uri = RedirectUri::parse("https://app.example/cb").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read").unwrap();
    CodeRecord::new(
        index,
        redirect_uri,
        CodeVerifier::parse(&"v".repeat(43)).unwrap().challenge(),
        resource,
        scopes,
    )
}

pub(crate) fn family(number: u64) -> NewFamily {
    // As random as identifiers are.
    let [id, _]: [[u8; 16]; 2] = {
        let digest = *SecretDigest::of(&format!("family {number}")).as_bytes();
        let (left, right) = digest.split_at(16);
        [left.try_into().unwrap(), right.try_into().unwrap()]
    };
    let scopes = ScopeSet::parse("files:read").unwrap();
    let end = UnixTime::from_secs(1_000_600);
    let access = NewAccess::new(SecretDigest::of(&format!("access {number}")), scopes, end);
    let (id, subject) = (FamilyId::from_bytes(id), format!("user {number}").try_into().unwrap());
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let mut family = NewFamily::new(id, client_id(), subject, resource, access);
    family.expires_at = UnixTime::from_secs(3_000_000);
    family.idle_until = UnixTime::from_secs(2_000_000);
    family
}
