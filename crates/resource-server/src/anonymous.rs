//! Requests without a token, for servers of which some operations are public.
//!
//! | check, in this order | otherwise |
//! |---|---|
//! | the table has a public or optional operation ([`OperationScopes::public_tool`]) | 401 |
//! | no `Authorization` header and no token in the query, because a presented token is always judged | 401, 400 |
//! | the method is POST, GET or DELETE, and a GET or DELETE has no body | 401 |
//! | a POST names no stream to replay (`Last-Event-ID`) | 401 |
//! | a POST asks only for operations that need no token, or answers in a session opened without a token | 401 |
//! | a GET or DELETE belongs to such a session and replays no stream | 405 |
//! | the session that the request names, if any, was opened without a token | 404 |
//! | `Host` and `Origin` name this server, a loopback host or an allowed origin | 403 |

use http::header::AUTHORIZATION;
use http::{Method, Request};
use oauth_types::header::LAST_EVENT_ID;
use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::{Operation, RequestedOperation};

use crate::decide::has_token;
use crate::denial::{Denial, DenialReason};
use crate::operations::{OperationScopes, Row, is_encoded};
use crate::requirement::Requirement;
use crate::resource::Resource;
use crate::session_key::NamedSession;

/// MCP methods of sessions, and the tool list, which need no token beside public operations.
const OPEN_METHODS: [&str; 8] = [
    "initialize",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "ping",
    "server/discover",
    "tools/list",
];

impl OperationScopes {
    /// Opens a tool to requests without a token; the tool needs no scope either.
    ///
    /// A client without a token can then begin a session: `initialize`, `ping`, `server/discover`, `tools/list` and
    /// notifications need no token unless they have a row of their own. The tool list names the protected tools too.
    /// Every other operation still needs a token; [`public_operation`](Self::public_operation) opens lists of prompts
    /// and resources.
    ///
    /// A presented token is still verified, and an invalid one is answered with 401. A session that was opened without
    /// a token is answered with 404 when a token is presented in it, so that a client that has logged in begins a new
    /// session.
    ///
    /// ```
    /// use resource_server::OperationScopes;
    ///
    /// let scopes = OperationScopes::new("files:read")?
    ///     .public_tool("search")
    ///     .tool("write-file", "files:write")?;
    /// # Ok::<(), oauth_types::InvalidScope>(())
    /// ```
    #[must_use]
    pub fn public_tool(self, name: &str) -> Self {
        self.public_operation(Operation::tool(name))
    }

    /// Opens any operation to requests without a token.
    ///
    /// An operation without a name stands for all operations of its method that have no row of their own. The effect is
    /// that of [`public_tool`](Self::public_tool).
    #[must_use]
    pub fn public_operation(self, operation: Operation) -> Self {
        let mut table = self.insert(operation, Row::Public);
        table.is_mixed = true;
        table
    }

    /// Opens a tool to requests without a token; a presented token needs the given scopes.
    ///
    /// The base scopes are needed of a presented token as well.
    ///
    /// Use this for a tool whose answer to a user contains more than its public answer: the handler finds a
    /// [`AuthInfo`](crate::AuthInfo) in the request if a token was presented. The rest is as for
    /// [`public_tool`](Self::public_tool).
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if `scopes` is not a list of scopes, or if it is empty while the base is not.
    pub fn optional_tool(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.optional_operation(Operation::tool(name), scopes)
    }

    /// Opens any operation to requests without a token; a presented token needs the given scopes.
    ///
    /// The effect is that of [`optional_tool`](Self::optional_tool).
    ///
    /// # Errors
    ///
    /// The same as for [`optional_tool`](Self::optional_tool).
    pub fn optional_operation(
        self,
        operation: Operation,
        scopes: &str,
    ) -> Result<Self, InvalidScope> {
        let scopes = self.base().union(&self.scopes(scopes)?)?;
        let mut table = self.row(operation, &scopes.clone(), Row::Optional(scopes))?;
        table.is_mixed = true;
        Ok(table)
    }

    /// Returns `true` if at least one operation needs no token.
    #[must_use]
    pub const fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    fn is_public(&self, asked: &RequestedOperation<'_>) -> bool {
        let mut rows = self.meant(asked).peekable();
        let is_public = match rows.peek() {
            Some(_) => rows.all(|row| matches!(row, Row::Public | Row::Optional(_))),
            None => self.is_session_public(asked.method()),
        };
        is_public && asked.named().iter().all(|named| self.is_public(named))
    }

    /// Returns the scopes that a client without a token should request.
    ///
    /// They are the base and the scopes of the rows of the operations. Scope functions of the host are not called for a
    /// request without a token.
    fn hint(&self, asked: &[RequestedOperation<'_>]) -> ScopeSet {
        let rows = asked.iter().flat_map(|asked| self.meant(asked));
        let mut rows = rows.filter_map(|row| match row {
            Row::Fixed(scopes) => Some(scopes),
            _ => None,
        });
        let all = rows.try_fold(self.base().clone(), |all, scopes| all.union(scopes));
        all.unwrap_or_else(|_| self.base().clone())
    }

    /// Returns `true` if a method without a row needs no token.
    ///
    /// Clients without a token begin sessions with these methods.
    pub(crate) fn is_session_public(&self, method: &str) -> bool {
        self.is_mixed && OPEN_METHODS.contains(&method)
    }

    /// Decides about a request without a token.
    ///
    /// Call this on the table that [`Requirement::table_without_token`] returns.
    ///
    /// `body` is the body of the request, or `None` if it has none. `session` is the result of
    /// [`HandleSeal::session_without_token`](crate::HandleSeal::session_without_token), or [`NamedSession::None`] if
    /// the host does not know the owners of sessions. In the latter case no stream is opened, because it may belong to
    /// another session.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response if the request is not admitted.
    pub fn admit_without_token<B>(
        &self,
        resource: &Resource,
        request: &Request<B>,
        body: Option<&[u8]>,
        session: NamedSession,
    ) -> Result<(), Denial> {
        let headers = request.headers();
        let deny = |hint| Denial::unauthorized(resource, None, DenialReason::NoToken, hint);
        // An event identifier names a stream, which may belong to another session.
        let is_replay = headers.contains_key(LAST_EVENT_ID);
        let has_body = body.is_some_and(|body| !body.is_empty());
        match *request.method() {
            Method::POST if is_replay => return Err(deny(self.base())),
            Method::POST => {
                if is_encoded(headers) {
                    return Err(Denial::encoded_body());
                }
                let body = body.unwrap_or_default();
                let asked =
                    RequestedOperation::of_request(headers, body).map_err(Denial::unreadable)?;
                let is_open = match asked.is_empty() {
                    true => session == NamedSession::WithoutToken,
                    false => asked.iter().all(|asked| self.is_public(asked)),
                };
                if !is_open {
                    return Err(deny(&self.hint(&asked)));
                }
            }
            // The service acts on the method, so a public operation in the body does not make other methods public.
            Method::GET | Method::DELETE if !has_body => {
                if is_replay || session == NamedSession::None {
                    return Err(Denial::stream_without_token());
                }
            }
            _ => return Err(deny(self.base())),
        }
        if session == NamedSession::Foreign {
            return Err(Denial::foreign_session());
        }
        // A page that uses DNS rebinding sends no token, so a request without a token must name this server.
        if !resource.hosts().admits_without_token(request) {
            return Err(Denial::foreign_host());
        }
        Ok(())
    }
}

impl Requirement {
    /// Returns the table that decides about this request without a token, if there is one.
    ///
    /// Any `Authorization` header and any token in the query count as presented; the result is then `None`.
    #[must_use]
    pub fn table_without_token<B>(&self, request: &Request<B>) -> Option<&OperationScopes> {
        let shows_none =
            !request.headers().contains_key(AUTHORIZATION) && !has_token(request.uri().query());
        match self {
            Self::PerOperation(table) if table.is_mixed() && shows_none => Some(table),
            _ => None,
        }
    }
}
