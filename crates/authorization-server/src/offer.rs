//! Scopes and resources that are offered now: one answer for every door through which a grant passes.
//!
//! Offered is what the configuration has today and, where the operator registered the client for certain scopes
//! ([`ClientRecord::metadata`](crate::ClientRecord::metadata), `scope`), what is among those. A grant may be older
//! than the configuration:
//!
//! | door | what is no longer offered |
//! |---|---|
//! | authorization request | a scope is left out while one remains, then `invalid_scope`; a resource is `invalid_target` |
//! | answer to a consent page | the page is over (400), because it showed something else |
//! | redemption of a code, refresh | a scope is left out while one remains (RFC 6749 §3.3: the answer names what is granted); then, or without the resource, `invalid_grant` |
//! | refresh that names scopes of which none is left | `invalid_scope`, as for any scope beyond the grant (RFC 6749 §6) |
//! | client credentials, identity assertion | `invalid_scope`, `invalid_target` |
//!
//! A code or refresh token of which nothing is left is `invalid_grant` also where the request names the resource,
//! although RFC 8707 §2.2 has `invalid_target`: clients that read `invalid_grant` log in anew, and are told at the
//! authorization endpoint what is wrong. After `invalid_target` common clients keep the token and fail every time.

use oauth_types::{ResourceUri, Scope, ScopeSet};

use crate::config::{Config, InvalidConfig};

impl Config {
    /// Grants these scopes to a client that asks for none (RFC 6749 §3.3), after the consent page has shown them.
    ///
    /// Without this setting such a client gets the first scope of the configuration, and no other. Set it to what every
    /// request to the resource server needs: some clients never name a scope, and log in again and again if what they
    /// are given is not enough to connect. With `resource-server` that is `OperationScopes::base`. Everything beyond
    /// it is asked for by step-up.
    ///
    /// ```
    /// use authorization_server::{Config, InvalidConfig};
    /// use oauth_types::ScopeSet;
    ///
    /// fn with_base(config: Config, base: &ScopeSet) -> Result<Config, InvalidConfig> {
    ///     config.with_default_scope(base.clone())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::DefaultScope`] when it is empty, or has a scope that the configuration lacks.
    pub fn with_default_scope(mut self, scope: ScopeSet) -> Result<Self, InvalidConfig> {
        if scope.is_empty() || scope.exceeds(&self.scopes) {
            return Err(InvalidConfig::DefaultScope);
        }
        self.default_scope = Some(scope);
        Ok(self)
    }

    /// Returns what a client gets that asks for no scope; `None` if its registration allows nothing of it.
    pub(crate) fn default_scope(&self, registered: Option<&ScopeSet>) -> Option<ScopeSet> {
        let first = self.scopes.iter().next();
        let default = match &self.default_scope {
            Some(default) => default.clone(),
            None => self.scopes.filter(|scope| Some(scope) == first),
        };
        self.narrow(registered, &default)
    }

    /// Returns `true` if this scope is offered to a client with this registered scope.
    pub(crate) fn offers(&self, registered: Option<&ScopeSet>, scope: &str) -> bool {
        self.scopes.contains(scope) && registered.is_none_or(|own| own.contains(scope))
    }

    /// Returns what is left of a grant; `None` if nothing is.
    pub(crate) fn still_offered(
        &self,
        registered: Option<&ScopeSet>,
        resource: &ResourceUri,
        scopes: &ScopeSet,
    ) -> Option<ScopeSet> {
        if !self.resources.contains(resource) {
            return None;
        }
        self.narrow(registered, scopes)
    }

    /// Returns the scopes that are offered; `None` if there were some and none is left.
    fn narrow(&self, registered: Option<&ScopeSet>, scopes: &ScopeSet) -> Option<ScopeSet> {
        let left = scopes.filter(|scope| self.offers(registered, scope));
        (scopes.is_empty() || !left.is_empty()).then_some(left)
    }
}

/// Returns the requested scopes that are known; `default` if none is requested; `None` if none is known.
///
/// Unknown scopes are left out while a known one remains, and the token response names what was granted (RFC 6749
/// §3.3). `offline_access` (OpenID Connect Core §11) asks for a refresh token, which comes without it here, so a
/// request for that alone requests no scope.
pub(crate) fn requested_scopes(
    requested: Option<&str>,
    default: Option<ScopeSet>,
    is_known: impl Fn(&str) -> bool,
) -> Option<ScopeSet> {
    let requested = ScopeSet::parse(requested.unwrap_or_default()).ok()?;
    if requested.iter().all(|scope| scope == Scope::OFFLINE_ACCESS && !is_known(scope)) {
        return default;
    }
    Some(requested.filter(is_known)).filter(|scopes| !scopes.is_empty())
}
