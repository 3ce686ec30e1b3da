//! What a host allows this client to do about a challenge.

use core::fmt;
use std::sync::Arc;

use oauth_types::ScopeSet;

use crate::operation::Operation;
use crate::windows::WindowLimit;

/// How many authorizations one operation may start: 0 to 3, by default 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Limit(u8);

impl Limit {
    /// The hard ceiling.
    pub const MAX: Self = Self(3);

    /// A limit of `attempts`; more than the ceiling counts as the ceiling. 0 means that the user is
    /// never asked.
    #[must_use]
    pub const fn new(attempts: u8) -> Self {
        if attempts > Self::MAX.0 { Self::MAX } else { Self(attempts) }
    }

    /// How many.
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

/// Who acts on a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Mode {
    /// This client asks for what is missing.
    #[default]
    Automatic,
    /// The host gets the challenge as an error and decides.
    Surface,
    /// The token is a fixed one: there is nobody to ask, and nothing to ask with.
    Fixed,
}

/// What the host allows.
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
    pub(crate) mode: Mode,
    pub(crate) limit: Limit,
    window_limit: WindowLimit,
    filter: Option<Filter>,
}

type Filter = Arc<dyn Fn(&Operation, &ScopeSet) -> Option<ScopeSet> + Send + Sync>;

impl Policy {
    /// Says who acts on a challenge.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// How often an operation may be asked for.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Says how many authorizations one operation may start.
    #[must_use]
    pub fn with_limit(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    /// Returns how many browser windows requests may open for one server.
    #[must_use]
    pub const fn window_limit(&self) -> WindowLimit {
        self.window_limit
    }

    /// Says how many browser windows requests may open for one server: by default three in ten minutes. Beyond that a
    /// request that needs one fails until the oldest window no longer counts.
    #[must_use]
    pub fn with_window_limit(self, window_limit: WindowLimit) -> Self {
        Self { window_limit, ..self }
    }

    /// Lets the host see, trim or refuse (`None`) what is asked for, before anybody is asked. Scopes that it
    /// adds are left out again.
    #[must_use]
    pub fn with_filter(
        self,
        filter: impl Fn(&Operation, &ScopeSet) -> Option<ScopeSet> + Send + Sync + 'static,
    ) -> Self {
        Self { filter: Some(Arc::new(filter)), ..self }
    }

    /// What of `scope` may be asked for.
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
