//! Two ends of a 403: a server that names what is missing, and a client that decides what to do about it.

use http::{HeaderMap, Response, StatusCode, header::WWW_AUTHENTICATE};
use oauth_types::{BearerChallenge, EndpointUrl, ScopeSet};
use scope_stepup::{Decision, Hierarchy, Ledger, Operation, Policy, StepUpContext, check};

/// Server: refuses a call whose grant does not suffice, with the scopes that would.
pub fn guard(
    granted: &ScopeSet,
    required: &ScopeSet,
    order: &Hierarchy,
    metadata: &EndpointUrl,
) -> Response<()> {
    let mut response = Response::new(());
    if let Err(missing) = check(granted, required, order) {
        *response.status_mut() = StatusCode::FORBIDDEN;
        let challenge = missing.challenge(metadata.clone()).to_header_value();
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Client: returns the scopes to ask the user for, once for an operation.
pub fn react(
    headers: &HeaderMap,
    tool: &str,
    held: &ScopeSet,
    ledger: &mut Ledger,
) -> Option<ScopeSet> {
    let challenge = BearerChallenge::from_headers(headers)?;
    let operation = Operation::tool(tool);
    let situation =
        StepUpContext::new(&operation, &challenge).with_requested(held).with_granted(held);
    match ledger.decide(&situation, &Policy::default()) {
        Decision::Reauthorize { scope, attempt } => {
            drop(ledger.start(attempt));
            Some(scope)
        }
        _ => None,
    }
}

#[test]
fn a_missing_scope_is_asked_for_once() -> Result<(), Box<dyn std::error::Error>> {
    let order = Hierarchy::new([("files:admin", "files:write")])?;
    let metadata = EndpointUrl::parse("https://rs.example/.well-known/oauth-protected-resource")?;
    let (read, write) = (ScopeSet::parse("files:read")?, ScopeSet::parse("files:write")?);
    let admin = ScopeSet::parse("files:admin")?;
    assert_eq!(guard(&admin, &write, &order, &metadata).status(), StatusCode::OK);

    let refused = guard(&read, &write, &order, &metadata);
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let mut ledger = Ledger::new();
    let asked = react(refused.headers(), "write-file", &read, &mut ledger);
    assert_eq!(asked, Some(ScopeSet::parse("files:read files:write")?));
    assert_eq!(react(refused.headers(), "write-file", &read, &mut ledger), None);
    Ok(())
}
