//! Requests without a token, where some operations need none.
//!
//! | check, in this order | otherwise |
//! |---|---|
//! | the table has an operation that needs no token ([`OperationScopes::public_tool`]) | 401 |
//! | there is no `Authorization` header, and no token in the query: a token that is presented is always judged | 401, 400 |
//! | the method is POST, GET or DELETE, and the last two carry no body | 401 |
//! | a POST replays no stream (`Last-Event-ID`), and every operation of its body needs no token; an answer of the client belongs to a session that was opened without a token | 401 |
//! | a GET or DELETE belongs to such a session and replays no stream | 405 |
//! | the session that is named, if any, was opened without a token | 404 |
//! | `Host` and `Origin` name this server, a loopback host or an opened origin | 403 |

use http::header::AUTHORIZATION;
use http::{Method, Request};
use oauth_types::header::LAST_EVENT_ID;
use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::{Asked, Operation};

use crate::decide::has_token;
use crate::denial::{Denial, DenialReason};
use crate::operations::{OperationScopes, Row, is_encoded};
use crate::requirement::Requirement;
use crate::resource::Resource;
use crate::session_key::NamedSession;

/// MCP methods that need no token where some operation needs none: a session, and the list of tools.
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
    /// Opens a tool to requests without a token: no scope is needed either.
    ///
    /// A client without a token can then begin a session: `initialize`, `ping`, `server/discover`, `tools/list` and
    /// notifications need no token any more unless they have a row of their own. The list of tools names the protected
    /// ones, too. Everything else needs a token as before; lists of prompts and resources are opened by
    /// [`public_operation`](Self::public_operation).
    ///
    /// A token that is presented is verified all the same, and one that is no good is answered with 401. A session that
    /// was opened without a token is answered with 404 when a token is presented in it, so that a client that has
    /// logged in begins a new one.
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

    /// Opens any operation to requests without a token, as [`public_tool`](Self::public_tool) does for a tool. One
    /// without a name stands for all of its method that are in no row of their own.
    #[must_use]
    pub fn public_operation(self, operation: Operation) -> Self {
        let mut table = self.insert(operation, Row::Public);
        table.is_mixed = true;
        table
    }

    /// Opens a tool to requests without a token, and asks a token that is presented for these scopes and the base.
    ///
    /// For a tool that shows a user more than it shows everybody: the handler finds a [`Granted`](crate::Granted) in
    /// the request, or none. Everything else is as with [`public_tool`](Self::public_tool).
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when it is not a list of scopes, or an empty one where the base is not empty.
    pub fn optional_tool(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.optional_operation(Operation::tool(name), scopes)
    }

    /// Opens any operation to requests without a token, as [`optional_tool`](Self::optional_tool) does for a tool.
    ///
    /// # Errors
    ///
    /// As [`optional_tool`](Self::optional_tool).
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

    /// Returns `true` if some operation needs no token.
    #[must_use]
    pub const fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    fn is_public(&self, asked: &Asked<'_>) -> bool {
        let mut rows = self.meant(asked).peekable();
        let is_public = match rows.peek() {
            Some(_) => rows.all(|row| matches!(row, Row::Public | Row::Optional(_))),
            None => self.is_session_public(asked.method()),
        };
        is_public && asked.named().iter().all(|named| self.is_public(named))
    }

    /// The scopes that a client without a token should ask for: the base, and what the table says of the operations.
    /// The host's code is not run for a request without a token.
    fn hint(&self, asked: &[Asked<'_>]) -> ScopeSet {
        let rows = asked.iter().flat_map(|asked| self.meant(asked));
        let mut rows = rows.filter_map(|row| match row {
            Row::Fixed(scopes) => Some(scopes),
            _ => None,
        });
        let all = rows.try_fold(self.base().clone(), |all, scopes| all.union(scopes));
        all.unwrap_or_else(|_| self.base().clone())
    }

    /// Returns `true` if a method without a row needs no token, because clients without one begin sessions here.
    pub(crate) fn is_session_public(&self, method: &str) -> bool {
        self.is_mixed && OPEN_METHODS.contains(&method)
    }

    /// Decides about a request without a token, for which [`Requirement::table_without_token`] names this table.
    ///
    /// `body` is the request's, or `None` where it has none. `session` is the one that it names, if owners of sessions
    /// are known ([`HandleSeal::session_without_token`](crate::HandleSeal::session_without_token)), and
    /// [`NamedSession::None`] otherwise: no stream is opened then, because it may be of another's session.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn admit_without_token<B>(
        &self,
        resource: &Resource,
        request: &Request<B>,
        body: Option<&[u8]>,
        session: NamedSession,
    ) -> Result<(), Denial> {
        let headers = request.headers();
        let deny = |hint| Denial::unauthorized(resource, None, DenialReason::NoToken, hint);
        // The identifier of an event names a stream, which may be of another session.
        let is_replay = headers.contains_key(LAST_EVENT_ID);
        let has_body = body.is_some_and(|body| !body.is_empty());
        match *request.method() {
            Method::POST if is_replay => return Err(deny(self.base())),
            Method::POST => {
                if is_encoded(headers) {
                    return Err(Denial::encoded_body());
                }
                let body = body.unwrap_or_default();
                let asked = Asked::of_request(headers, body).map_err(Denial::unreadable)?;
                let is_open = match asked.is_empty() {
                    true => session == NamedSession::WithoutToken,
                    false => asked.iter().all(|asked| self.is_public(asked)),
                };
                if !is_open {
                    return Err(deny(&self.hint(&asked)));
                }
            }
            // The service goes by the method, so a body makes none of the others public.
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
        // A page that rebinds its name has no token, and gets no more than a 401 where one is needed.
        if !resource.hosts().admits_without_token(request) {
            return Err(Denial::foreign_host());
        }
        Ok(())
    }
}

impl Requirement {
    /// The table that decides about this request although it presents no token, if there is one. Anything in the
    /// `Authorization` header, and a token in the query, is presented and has to be good.
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
