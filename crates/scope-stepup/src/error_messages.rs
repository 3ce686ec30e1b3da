//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use error_table::{row, table};
use oauth_types::{InvalidScope, Scope, ScopeSet};

use crate::*;

#[test]
fn every_error_says_what_to_do() {
    const _: fn(InsufficientScopeKind) = |reason| match reason {
        InsufficientScopeKind::Surfaced
        | InsufficientScopeKind::LimitReached
        | InsufficientScopeKind::AlreadyHeld
        | InsufficientScopeKind::Declined
        | InsufficientScopeKind::TooManyScopes
        | InsufficientScopeKind::NotAllowed
        | InsufficientScopeKind::NobodyToAsk => {}
    };
    let operation = "operator of the server";
    let rows = [
        (
            InsufficientScopeKind::Surfaced,
            0,
            "host's programmer",
            "start a login for the scopes, or show the error",
        ),
        (InsufficientScopeKind::LimitReached, 0, "host's programmer", "raise `Policy`'s limit"),
        (InsufficientScopeKind::LimitReached, 2, operation, "say which scopes are granted"),
        (InsufficientScopeKind::AlreadyHeld, 1, operation, "correct the challenge"),
        (InsufficientScopeKind::Declined, 0, "user", "start the operation anew and agree"),
        (InsufficientScopeKind::TooManyScopes, 0, operation, "correct the challenge"),
        (InsufficientScopeKind::NotAllowed, 0, "host's programmer", "let the filter pass a scope"),
        (
            InsufficientScopeKind::NobodyToAsk,
            0,
            "operator of the client",
            "obtain credentials with the scope",
        ),
    ];
    let mut text = String::new();
    for (reason, attempts, actor, action) in rows {
        let error = InsufficientScope {
            operation: Operation::tool("write-file"),
            required: Some(ScopeSet::parse("files:write").unwrap()),
            resource_metadata: None,
            description: None,
            attempts,
            reason,
        };
        text += &row(&format!("InsufficientScope: {reason:?}"), &error, actor, action);
    }
    let scopes = ScopeSet::parse("files:write").unwrap();
    let missing = check(&ScopeSet::default(), &scopes, &NoHierarchy).unwrap_err();
    text += &table!(Missing {
        Missing { .. } = missing => "client", "log in again with the scopes";
    });
    text += &table!(HierarchyError {
        HierarchyError::Scope(_) = HierarchyError::Scope(InvalidScope::Empty) => "host's programmer", "correct the name";
        HierarchyError::Cycle(_) = HierarchyError::Cycle(Scope::parse("admin").unwrap()) => "host's programmer", "take one pair out";
    });
    text += &table!(UnreadableRequest {
        UnreadableRequest::Body = UnreadableRequest::Body => "client's developer", "send a JSON-RPC message";
        UnreadableRequest::Header(_) = UnreadableRequest::Header("Mcp-Name") => "client's developer", "send the header once, as in the body";
    });
    insta::assert_snapshot!(text);
}
