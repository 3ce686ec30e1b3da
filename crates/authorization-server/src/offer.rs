//! Scopes and resources that the server offers now, checked in the same way at each endpoint.
//!
//! A scope is offered if the configuration has it and, where the operator registered the client for certain scopes
//! ([`ClientRecord::metadata`](crate::ClientRecord::metadata), `scope`), the registration has it too. A grant may be
//! older than the configuration:
//!
//! | request | outcome for a scope or resource that is no longer offered |
//! |---|---|
//! | authorization request | a scope is left out while one remains, or `invalid_scope`; resource: `invalid_target` |
//! | answer to a consent page | the answer is refused (400), because the page showed something else |
//! | code, refresh token | a scope is left out while one remains, or `invalid_grant`; resource: `invalid_grant` |
//! | refresh that names only scopes that are gone | `invalid_scope`, as for a scope beyond the grant (RFC 6749 §6) |
//! | client credentials, identity assertion | `invalid_scope`, `invalid_target` |
//!
//! Where a scope is left out, the token response names the granted ones (RFC 6749 §3.3).
//!
//! A code or refresh token whose resource is gone is answered by `invalid_grant` even if the request names the
//! resource, although RFC 8707 §2.2 has `invalid_target`. After `invalid_grant` clients log in again, and the
//! authorization endpoint tells them the cause; after `invalid_target` common clients keep the token and fail every
//! time.

use oauth_types::{ResourceUri, Scope, ScopeSet};

use crate::config::{Config, InvalidConfig};

impl Config {
    /// Sets the scope of requests that name none (RFC 6749 §3.3).
    ///
    /// The consent page shows it. Without this setting the default is the first scope of the configuration. Set it to
    /// the scopes that every request to the resource server needs (`OperationScopes::base` of `resource-server`):
    /// some clients never name a scope, and log in repeatedly if the default is too narrow to connect. Clients get
    /// further scopes by step-up.
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
    /// [`InvalidConfig::DefaultScope`] when `scope` is empty or has a scope that the configuration lacks.
    pub fn with_default_scope(mut self, scope: ScopeSet) -> Result<Self, InvalidConfig> {
        if scope.is_empty() || scope.exceeds(&self.scopes) {
            return Err(InvalidConfig::DefaultScope);
        }
        self.default_scope = Some(scope);
        Ok(self)
    }

    /// Returns the scope of a request that names none.
    ///
    /// `None` if the registration of the client excludes all of it.
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

    /// Returns the scopes of a grant that are still offered.
    ///
    /// `None` if its resource is gone, or if it had scopes and all of them are gone.
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

    /// Returns the offered ones among `scopes`; `None` if it had some and all are gone.
    fn narrow(&self, registered: Option<&ScopeSet>, scopes: &ScopeSet) -> Option<ScopeSet> {
        let left = scopes.filter(|scope| self.offers(registered, scope));
        (scopes.is_empty() || !left.is_empty()).then_some(left)
    }
}

/// Returns the known scopes of a request, or `default` if it requests none.
///
/// `None` if the request is malformed, or if all of its scopes are unknown. Unknown scopes are left out while a known
/// one remains, and the token response names the granted ones (RFC 6749 §3.3). `offline_access` (OpenID Connect Core
/// §11) asks for a refresh token, which is issued without it here, so a request for that alone requests no scope.
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
