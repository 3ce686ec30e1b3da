//! Scope selection of a login.

use oauth_types::{
    AuthorizationServerMetadata, InvalidScope, ProtectedResourceMetadata, Scope, ScopeSet,
};

use crate::goal::{Goal, Wanted};
use crate::session::join;

/// Returns the scopes to request: those of the challenge, else all that the resource lists, else none.
///
/// Scopes that were requested before are added, both those of this process and those in the stored record of another.
pub(crate) fn initial_scope(
    goal: &Goal,
    resource: &ProtectedResourceMetadata,
    server: &AuthorizationServerMetadata,
    kept: Option<&ScopeSet>,
) -> Result<Option<ScopeSet>, InvalidScope> {
    let (challenged, held) = match &goal.wanted {
        Wanted::First { challenged, held, .. } => (challenged, join(held.as_ref(), kept)),
        Wanted::Exactly(scope) => return Ok(Some(scope.clone())),
    };
    // C-SCOPE-1, C-SCOPE-2
    let listed = || {
        let scopes = resource.scopes_supported.as_ref()?;
        Some(ScopeSet::parse(&scopes.join(" ")))
    };
    let first = match challenged.clone() {
        Some(challenged) => Some(challenged),
        None => listed().transpose()?,
    };
    // C-SCOPE-4: scopes that were requested before are requested again.
    let mut scope = match (held, first) {
        (Some(held), Some(first)) => Some(held.union(&first)?),
        (held, first) => held.or(first),
    };
    // C-SCOPE-3
    if goal.config.grant.needs_browser()
        && goal.config.wants_refresh_token
        && server.lists_scope(Scope::OFFLINE_ACCESS)
    {
        let offline = ScopeSet::parse(Scope::OFFLINE_ACCESS)?;
        scope = Some(scope.unwrap_or_default().union(&offline)?);
    }
    // Row 212: not even if another server listed it.
    if let Some(asked) = &scope
        && asked.contains(Scope::OFFLINE_ACCESS)
        && !server.lists_scope(Scope::OFFLINE_ACCESS)
    {
        let rest: Vec<&str> = asked.iter().filter(|one| *one != Scope::OFFLINE_ACCESS).collect();
        scope = Some(ScopeSet::parse(&rest.join(" "))?);
    }
    Ok(scope.filter(|scope| !scope.is_empty()))
}
