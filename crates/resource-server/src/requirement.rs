//! Scope requirement of a request: the same scopes for all, or scopes by operation.

use std::borrow::Cow;

use http::{HeaderMap, Method};
use oauth_types::ScopeSet;
use scope_stepup::RequestedOperation;

use crate::denial::Denial;
use crate::operations::OperationScopes;
use crate::session_key::HandleSeal;

/// Scopes that the requests to a service need.
///
/// Created from a [`ScopeSet`], for a service with any protocol, or from the [`OperationScopes`] of an MCP server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Requirement {
    /// The same scopes for every request; the body is not read. An empty set admits every valid token.
    Same(ScopeSet),
    /// Scopes by MCP operation; the body names the operation.
    PerOperation(OperationScopes),
}

/// Presence of a body in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a request has a body or none (RFC 9112 §6)")]
pub enum RequestBody {
    /// The request ends with its headers.
    Absent,
    /// A body follows, or may follow.
    Present,
}

impl Requirement {
    /// Returns the scopes that every request needs, for the challenge of a 401.
    #[must_use]
    pub const fn base(&self) -> &ScopeSet {
        match self {
            Self::Same(scopes) => scopes,
            Self::PerOperation(table) => table.base(),
        }
    }

    /// Returns `true` if at least one operation needs no token ([`OperationScopes::public_tool`]).
    #[must_use]
    pub const fn is_mixed(&self) -> bool {
        matches!(self, Self::PerOperation(table) if table.is_mixed())
    }

    /// Returns the table if the body decides which scopes the request needs.
    ///
    /// This is the case for a POST and for every other request with a body, because the service may act on any method.
    #[must_use]
    pub fn table_for(&self, method: &Method, body: RequestBody) -> Option<&OperationScopes> {
        match self {
            Self::PerOperation(table) if body == RequestBody::Present || method == Method::POST => {
                Some(table)
            }
            _ => None,
        }
    }

    /// Returns `true` if a request is expected to open a session.
    ///
    /// The request names no session, and one of its messages is `initialize`.
    #[must_use]
    pub fn opens_session(headers: &HeaderMap, body: &[u8]) -> bool {
        // The substring test avoids parsing most bodies a second time.
        let may_open = !HandleSeal::has_session(headers)
            && core::str::from_utf8(body).is_ok_and(|body| body.contains("initialize"));
        may_open
            && RequestedOperation::of_request(headers, body)
                .is_ok_and(|asked| asked.iter().any(|asked| asked.method() == "initialize"))
    }

    /// Returns the scopes that a request needs, where [`table_for`](Self::table_for) returns a table.
    ///
    /// A POST needs the scopes of its body. Any other method also needs the base, because the service may act on the
    /// method and not on the body.
    ///
    /// # Errors
    ///
    /// The same as for [`OperationScopes::required_for`].
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
