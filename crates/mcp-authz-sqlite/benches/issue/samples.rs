//! What is stored.

use authorization_server::{CodeRecord, FamilyId, NewAccess, NewFamily};
use oauth_types::{
    ClientId, CodeVerifier, RedirectUri, ResourceUri, ScopeSet, SecretDigest, UnixTime,
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
    CodeRecord {
        digest: code_digest(number),
        client_id: client_id(),
        redirect_uri: RedirectUri::parse("https://app.example/cb").unwrap(),
        challenge: CodeVerifier::parse(&"v".repeat(43)).unwrap().challenge(),
        resource: ResourceUri::parse("https://rs.example/mcp").unwrap(),
        scopes: ScopeSet::parse("files:read").unwrap(),
        subject: format!("user {number}"),
        expires_at: UnixTime::from_secs(1_000_060),
        jkt: None,
        redeemed: None,
    }
}

pub(crate) fn family(number: u64) -> NewFamily {
    // As random as identifiers are.
    let [id, _]: [[u8; 16]; 2] = {
        let digest = *SecretDigest::of(&format!("family {number}")).as_bytes();
        let (left, right) = digest.split_at(16);
        [left.try_into().unwrap(), right.try_into().unwrap()]
    };
    let scopes = ScopeSet::parse("files:read").unwrap();
    NewFamily {
        id: FamilyId::from_bytes(id),
        client_id: client_id(),
        subject: format!("user {number}"),
        resource: ResourceUri::parse("https://rs.example/mcp").unwrap(),
        scopes: scopes.clone(),
        expires_at: UnixTime::from_secs(3_000_000),
        idle_until: UnixTime::from_secs(2_000_000),
        jkt: None,
        access: NewAccess {
            digest: SecretDigest::of(&format!("access {number}")),
            scopes,
            expires_at: UnixTime::from_secs(1_000_600),
            jkt: None,
        },
    }
}
