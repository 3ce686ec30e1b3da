//! Policy of a host for step-up: mode, limits and filter.

use core::fmt;
use std::sync::Arc;

use oauth_types::ScopeSet;

use crate::operation::Operation;
use crate::windows::WindowLimit;

/// Number of authorizations that one operation may start: 0 to 3, by default 1.
///
/// # Examples
///
/// ```
/// use scope_stepup::Limit;
///
/// assert_eq!(Limit::default().get(), 1);
/// assert_eq!(Limit::new(200), Limit::MAX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Limit(u8);

impl Limit {
    /// Greatest limit that can be set.
    pub const MAX: Self = Self(3);

    /// Creates a limit of `attempts`, capped at [`MAX`](Self::MAX); with 0 the user is never asked.
    #[must_use]
    pub const fn new(attempts: u8) -> Self {
        if attempts > Self::MAX.0 { Self::MAX } else { Self(attempts) }
    }

    /// Returns the number of authorizations.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(1)
    }
}

/// Mode of step-up: the party that acts on a challenge.
///
/// # Examples
///
/// ```
/// use scope_stepup::{Policy, StepUpMode};
///
/// // A host with its own dialog receives the challenge as an error.
/// let policy = Policy::default().with_mode(StepUpMode::Manual);
/// assert_eq!(policy.limit().get(), 1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum StepUpMode {
    /// The client requests the missing scopes.
    #[default]
    Automatic,
    /// The host receives the challenge as an error and decides.
    Manual,
    /// The token is fixed, so there is no user to ask and no grant to widen.
    StaticToken,
}

/// Policy of a host for step-up.
///
/// # Examples
///
/// ```
/// use scope_stepup::{Limit, Policy};
///
/// // Twice at most, and never for `admin`.
/// let policy = Policy::default()
///     .with_limit(Limit::new(2))
///     .with_filter(|_operation, scope| Some(scope.filter(|one| one != "admin")));
/// ```
#[derive(Clone, Default)]
pub struct Policy {
    pub(crate) mode: StepUpMode,
    pub(crate) limit: Limit,
    window_limit: WindowLimit,
    filter: Option<Filter>,
}

type Filter = Arc<dyn Fn(&Operation, &ScopeSet) -> Option<ScopeSet> + Send + Sync>;

impl Policy {
    /// Sets the party that acts on a challenge.
    #[must_use]
    pub fn with_mode(self, mode: StepUpMode) -> Self {
        Self { mode, ..self }
    }

    /// Returns the number of authorizations that one operation may start.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Sets the number of authorizations that one operation may start.
    #[must_use]
    pub fn with_limit(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    /// Returns the limit on browser windows that requests open for one server.
    #[must_use]
    pub const fn window_limit(&self) -> WindowLimit {
        self.window_limit
    }

    /// Sets the limit on browser windows that requests open for one server.
    ///
    /// The default is three in ten minutes. Beyond it a request that needs a window fails until the oldest is no
    /// longer counted.
    #[must_use]
    pub fn with_window_limit(self, window_limit: WindowLimit) -> Self {
        Self { window_limit, ..self }
    }

    /// Sets a filter for the scopes to request, called before the user is asked.
    ///
    /// The filter may keep them, trim them, or refuse (`None`). Scopes that it adds are ignored.
    #[must_use]
    pub fn with_filter(
        self,
        filter: impl Fn(&Operation, &ScopeSet) -> Option<ScopeSet> + Send + Sync + 'static,
    ) -> Self {
        Self { filter: Some(Arc::new(filter)), ..self }
    }

    /// Returns the part of `scope` that the filter permits to request; `None` if it refuses.
    pub(crate) fn allowed(&self, operation: &Operation, scope: ScopeSet) -> Option<ScopeSet> {
        let Some(filter) = &self.filter else { return Some(scope) };
        let kept = filter(operation, &scope)?;
        Some(scope.filter(|one| kept.contains(one)))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("mode", &self.mode)
            .field("limit", &self.limit)
            .field("window_limit", &self.window_limit)
            .field("has_filter", &self.filter.is_some())
            .finish()
    }
}
