//! What a request has to grant: the same for all, or what its operations need.

use std::borrow::Cow;

use http::{HeaderMap, Method};
use oauth_types::ScopeSet;
use scope_stepup::Asked;

use crate::denial::Denial;
use crate::operations::OperationScopes;
use crate::session_key::HandleSeal;

/// The scopes that the requests to a service need.
///
/// Both kinds turn into one: a [`ScopeSet`] that every request needs, whatever protocol it speaks, and the table of an
/// MCP server's operations.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Requirement {
    /// Every request needs these; an empty set lets in whoever has a good token. Bodies are not read.
    Same(ScopeSet),
    /// What each MCP operation needs stands in a table. It is the body that says which one is meant.
    PerOperation(OperationScopes),
}

impl Requirement {
    /// What every request needs, and what a client without a token is told to ask for.
    #[must_use]
    pub const fn base(&self) -> &ScopeSet {
        match self {
            Self::Same(scopes) => scopes,
            Self::PerOperation(table) => table.base(),
        }
    }

    /// Returns `true` if some operation needs no token ([`OperationScopes::public_tool`]).
    #[must_use]
    pub const fn is_mixed(&self) -> bool {
        matches!(self, Self::PerOperation(table) if table.is_mixed())
    }

    /// The table, if what this request needs stands in its body: that of a POST, and of any other that has one, because
    /// nobody knows which methods the service behind executes.
    #[must_use]
    pub fn table_for(&self, method: &Method, has_body: bool) -> Option<&OperationScopes> {
        match self {
            Self::PerOperation(table) if has_body || method == Method::POST => Some(table),
            _ => None,
        }
    }

    /// Returns `true` if a request with this body opens a session, as far as can be known before it is answered: it
    /// names none, and one of its messages is `initialize`.
    #[must_use]
    pub fn opens_session(headers: &HeaderMap, body: &[u8]) -> bool {
        // Most requests are not read a second time.
        let may_open = !HandleSeal::has_session(headers)
            && core::str::from_utf8(body).is_ok_and(|body| body.contains("initialize"));
        may_open
            && Asked::of_request(headers, body)
                .is_ok_and(|asked| asked.iter().any(|asked| asked.method() == "initialize"))
    }

    /// The scopes that a request needs of its token, for which [`table_for`](Self::table_for) names a table.
    ///
    /// A POST needs what its body says. Any other method needs the base as well, because the service may go by the
    /// method and not by the body.
    ///
    /// # Errors
    ///
    /// As [`OperationScopes::required_for`].
    pub fn required_for(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Cow<'_, ScopeSet>, Denial> {
        let Self::PerOperation(table) = self else { return Ok(Cow::Borrowed(self.base())) };
        let required = table.required_for(headers, body)?;
        if method == Method::POST || !table.base().exceeds(&required) {
            return Ok(required);
        }
        let all = table.base().union(&required).map_err(|_| Denial::undecided())?;
        Ok(Cow::Owned(all))
    }
}

impl From<ScopeSet> for Requirement {
    fn from(scopes: ScopeSet) -> Self {
        Self::Same(scopes)
    }
}

impl From<OperationScopes> for Requirement {
    fn from(table: OperationScopes) -> Self {
        Self::PerOperation(table)
    }
}
