//! Server side of step-up: scope checks, and the `insufficient_scope` challenge (RFC 6750 §3.1).

use core::fmt;
use std::collections::BTreeMap;

use oauth_types::{
    BearerChallenge, BearerErrorCode, EndpointUrl, ErrorDescription, Scope, ScopeSet,
};

/// Order of scopes, in which a broader scope implies narrower ones.
///
/// # Examples
///
/// ```
/// use oauth_types::ScopeSet;
/// use scope_stepup::{ScopeHierarchy, check};
///
/// /// `files` implies `files:read` and all else below it.
/// struct Prefixes;
///
/// impl ScopeHierarchy for Prefixes {
///     fn implies(&self, held: &str, needed: &str) -> bool {
///         needed.strip_prefix(held).is_some_and(|rest| rest.starts_with(':'))
///     }
/// }
///
/// let (granted, required) = (ScopeSet::parse("files")?, ScopeSet::parse("files:read")?);
/// assert!(check(&granted, &required, &Prefixes).is_ok());
/// assert!(check(&required, &granted, &Prefixes).is_err());
/// # Ok::<(), oauth_types::InvalidScope>(())
/// ```
pub trait ScopeHierarchy {
    /// Returns `true` if a holder of `held` also holds `needed`; only called for scopes that differ.
    fn implies(&self, held: &str, needed: &str) -> bool;
}

/// Order of scopes in which no scope implies another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to say")]
pub struct NoHierarchy;

impl ScopeHierarchy for NoHierarchy {
    fn implies(&self, _held: &str, _needed: &str) -> bool {
        false
    }
}

/// Table of broader and narrower scopes, followed transitively.
///
/// # Examples
///
/// ```
/// use oauth_types::ScopeSet;
/// use scope_stepup::{Hierarchy, check};
///
/// let order = Hierarchy::new([("admin", "files:write"), ("files:write", "files:read")])?;
/// let granted = ScopeSet::parse("admin")?;
/// assert!(check(&granted, &ScopeSet::parse("files:read")?, &order).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hierarchy {
    /// Narrower scopes of each scope, closed transitively.
    implied: BTreeMap<Scope, Vec<Scope>>,
}

/// Reason why a table of scopes is not a hierarchy.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HierarchyError {
    /// A name is not a scope token (RFC 6749 §3.3).
    Scope(oauth_types::InvalidScope),
    /// A scope implies itself through others.
    Cycle(Scope),
}

impl fmt::Display for HierarchyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(error) => write!(f, "a name in the table is not a scope: {error}"),
            Self::Cycle(scope) => {
                write!(f, "{scope} implies itself: take one pair out of the circle")
            }
        }
    }
}

impl core::error::Error for HierarchyError {}

impl Hierarchy {
    /// Creates a hierarchy from (broader, narrower) pairs.
    ///
    /// # Errors
    ///
    /// [`HierarchyError`] when a name is not a scope or the pairs form a cycle.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, HierarchyError> {
        let mut direct: BTreeMap<Scope, Vec<Scope>> = BTreeMap::new();
        for (broader, narrower) in pairs {
            let broader = Scope::parse(broader).map_err(HierarchyError::Scope)?;
            let narrower = Scope::parse(narrower).map_err(HierarchyError::Scope)?;
            direct.entry(broader).or_default().push(narrower);
        }
        let mut implied = BTreeMap::new();
        for start in direct.keys() {
            let mut reached: Vec<Scope> = Vec::new();
            let mut open = vec![start];
            while let Some(scope) = open.pop() {
                for next in direct.get(scope).into_iter().flatten() {
                    if next == start {
                        return Err(HierarchyError::Cycle(start.clone()));
                    }
                    if !reached.contains(next) {
                        reached.push(next.clone());
                        open.push(next);
                    }
                }
            }
            implied.insert(start.clone(), reached);
        }
        Ok(Self { implied })
    }
}

impl ScopeHierarchy for Hierarchy {
    fn implies(&self, held: &str, needed: &str) -> bool {
        let broader = self.implied.iter().find(|(scope, _)| scope.as_str() == held);
        broader.is_some_and(|(_, implied)| implied.iter().any(|scope| scope.as_str() == needed))
    }
}

/// Checks that `granted` satisfies all of `required`; a broader scope satisfies a narrower one.
///
/// # Errors
///
/// [`Missing`] names every scope that the operation needs, so that one challenge suffices.
///
/// # Examples
///
/// ```
/// use oauth_types::{EndpointUrl, ScopeSet};
/// use scope_stepup::{NoHierarchy, check};
///
/// let (granted, required) = (ScopeSet::parse("files:read")?, ScopeSet::parse("files:read files:write")?);
/// let missing = check(&granted, &required, &NoHierarchy).unwrap_err();
///
/// let challenge = missing.challenge(EndpointUrl::parse("https://rs.example/prm")?);
/// assert_eq!(challenge.scope, Some(required));
/// assert!(challenge.to_string().starts_with("Bearer error=\"insufficient_scope\", "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "insufficient_scope")]
pub fn check(
    granted: &ScopeSet,
    required: &ScopeSet,
    order: &(impl ScopeHierarchy + ?Sized),
) -> Result<(), Missing> {
    // R-AUTH-5
    let held =
        |needed| granted.contains(needed) || granted.iter().any(|own| order.implies(own, needed));
    if required.iter().all(held) {
        return Ok(());
    }
    Err(Missing { required: required.clone() })
}

/// Error of a grant that does not satisfy the scopes of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    required: ScopeSet,
}

impl Missing {
    /// Returns every scope of the operation, including those that are granted.
    #[must_use]
    pub const fn required(&self) -> &ScopeSet {
        &self.required
    }

    /// Returns the challenge of a 403 (RFC 6750 §3.1, MCP step-up).
    ///
    /// The challenge names all scopes of the operation at once.
    #[must_use]
    pub fn challenge(&self, resource_metadata: EndpointUrl) -> BearerChallenge {
        // R-AUTH-4, R-PRM-2: `offline_access` is omitted, because refresh tokens concern client and authorization
        // server only.
        let scope = self.required.filter(|scope| scope != Scope::OFFLINE_ACCESS);
        BearerChallenge::new()
            .with_error(BearerErrorCode::InsufficientScope)
            .with_error_description(ErrorDescription::new("this operation needs more scope"))
            .with_scope(scope)
            .with_resource_metadata(resource_metadata)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the granted scopes are not enough: the operation needs {}; the client has to \
             request them",
            self.required
        )
    }
}

impl core::error::Error for Missing {}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    /// R-AUTH-5, SEC-152
    #[test]
    fn a_broader_scope_satisfies_a_narrower_one() {
        let order = Hierarchy::new([("admin", "write"), ("write", "read")]).unwrap();
        assert!(check(&set("admin"), &set("read write"), &order).is_ok());
        assert!(check(&set("read"), &set("write"), &order).is_err());
        assert!(check(&set("admin"), &set("read"), &NoHierarchy).is_err());
    }

    #[test]
    fn a_hierarchy_has_no_cycle() {
        let cycle = Hierarchy::new([("a", "b"), ("b", "c"), ("c", "a")]);
        assert!(matches!(cycle, Err(HierarchyError::Cycle(_))));
        assert!(matches!(Hierarchy::new([("a", "b c")]), Err(HierarchyError::Scope(_))));
        // Two paths to one scope do not make a cycle.
        assert!(Hierarchy::new([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]).is_ok());
    }

    /// R-AUTH-4, SEC-151
    #[test]
    fn the_challenge_names_all_scopes_at_once_and_no_offline_access() {
        let missing =
            check(&set("read"), &set("read write offline_access"), &NoHierarchy).unwrap_err();
        let metadata = EndpointUrl::parse("https://rs.example/prm").unwrap();
        let challenge = missing.challenge(metadata.clone());
        assert_eq!(challenge.scope.unwrap().as_str(), "read write");
        assert_eq!(challenge.error, Some(BearerErrorCode::InsufficientScope));
        assert_eq!(challenge.resource_metadata, Some(metadata));
    }
}
