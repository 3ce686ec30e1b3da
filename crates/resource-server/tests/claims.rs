//! Further claims of a token, from the verifier to a handler, without any adapter.

#![cfg(test)]

use std::sync::Arc;

use http::Request;
use oauth_types::{
    AccessTokenInfo, ClaimError, ClaimNames, ClientId, ExtraClaims, Issuer, ResourceUri, ScopeSet,
    Subject, UnixTime,
};
use resource_server::{AuthInfo, Resource};
use scope_stepup::NoHierarchy;
use serde_json::json;

const NOW: UnixTime = UnixTime::from_secs(100);

fn claims(groups: &[&str]) -> ExtraClaims {
    let token = json!({ "groups": groups, "scope": "admin", "long": "x".repeat(5_000) });
    let names = ClaimNames::new(["groups", "long"]).unwrap();
    names.select(|name| token.get(name).cloned())
}

fn facts(claims: ExtraClaims) -> AccessTokenInfo {
    let issuer = Issuer::parse("https://as.example").unwrap();
    AccessTokenInfo::new(Subject::parse("u7").unwrap(), ClientId::parse("c").unwrap(), issuer)
        .with_scopes(ScopeSet::parse("files:read").unwrap())
        .with_audience([ResourceUri::parse("https://rs.example/mcp").unwrap()])
        .with_expires_at(UnixTime::from_secs(600))
        .with_claims(claims)
}

fn granted(facts: AccessTokenInfo) -> AuthInfo {
    let issuer = facts.issuer.clone();
    let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let resource = Resource::new(uri, vec![issuer]).unwrap();
    let request = Request::get("/mcp").header("authorization", "Bearer t").body(()).unwrap();
    let read = ScopeSet::parse("files:read").unwrap();
    let presented = resource.present(&request, &read).unwrap();
    presented.decide(Some(Arc::new(facts)), &read, &NoHierarchy, NOW).unwrap()
}

#[test]
fn a_handler_tells_apart_why_it_cannot_read_a_claim() {
    let granted = granted(facts(claims(&["staff"])));
    assert_eq!(granted.claim::<Vec<String>>("groups").unwrap(), ["staff"]);
    assert_eq!(granted.claim::<u64>("groups"), Err(ClaimError::OtherType));
    assert_eq!(granted.claim::<String>("long"), Err(ClaimError::TooLarge));
    assert_eq!(granted.claim::<String>("email"), Err(ClaimError::Absent));
    // The raw text of a claim that was checked is not at hand, so that nobody takes it for the verified value.
    assert_eq!(granted.claim::<String>("scope"), Err(ClaimError::Absent));
    assert_eq!(granted.scopes().as_str(), "files:read");
}

/// A stream that was opened for a member of a group ends when its user has left the group.
#[test]
fn a_stream_ends_with_the_claims_that_may_have_opened_it() {
    let granted = granted(facts(claims(&["staff"])));
    assert!(granted.is_upheld_by(&facts(claims(&["staff"])), NOW));
    assert!(!granted.is_upheld_by(&facts(claims(&[])), NOW));
    assert!(!granted.is_upheld_by(&facts(ExtraClaims::none()), NOW));
}
