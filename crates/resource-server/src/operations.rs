//! Scopes by MCP operation; an operation that is not in the table needs all scopes of the table.
//!
//! | the request names | rows that apply | requirement |
//! |---|---|---|
//! | an operation with a row of its own | this row | SEC-216 |
//! | a resource without one | the row of the method, and its rows with an equivalent URI | SEC-234 |
//! | a resource by a URI that is not normalized | the row of the method, and all named rows of the method | SEC-234 |
//! | an operation whose name is not read | the row of the method, and all named rows of the method | SEC-234 |
//! | an operation of a method without a row for all others | none: all scopes of the table are needed | SEC-216 |
//! | further operations in its parameters ([`RequestedOperation::named`]) | the rows of each as well | SEC-234 |

mod names;
mod required;

use core::fmt;
use std::sync::Arc;

use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::{Operation, RequestedOperation};
use serde_json::Value;

use self::names::Named;
pub(crate) use self::required::is_encoded;

/// MCP methods that need only the base, because they list things or concern the caller's own session.
pub(crate) const BASE_METHODS: [&str; 14] = [
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "ping",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "roots/list",
    "server/discover",
    "subscriptions/listen",
    "tools/list",
];

/// Table of the scopes that each MCP operation needs.
///
/// An operation without a row needs all scopes of the table, so that a forgotten tool stays closed. Methods that list
/// things, and methods of the session itself, need the base.
///
/// Beside a row for all resources of a method, a row for one resource applies to every spelling of its URI that a
/// server may treat as equivalent: case of letters, final slash, query, fragment and the host of a `file` URI are
/// ignored. A URI that is not normalized (unnecessary escapes, dot segments, empty segments, capitals in scheme or
/// host) needs the scopes of all rows of the method. Use normalized URIs as names of resources.
///
/// Some file systems find a file by several names. The row therefore also applies to URIs with dots or spaces around a
/// segment (`/secret.`), with an alternate stream (`/secret::$DATA`), or with letters beyond ASCII, which match any
/// text (full-width letters, composed and decomposed accents, ignored characters). A short name (`/SECRET~1`) matches
/// every row. A resource with such letters in its name may thus need the scopes of another row, unless it has its own.
///
/// `subscriptions/listen` needs the scopes of `resources/subscribe` and `resources/read` for each resource that it
/// names. `completion/complete` needs those of `prompts/get` or `resources/read` for its `ref`.
///
/// ```
/// use http::HeaderMap;
/// use oauth_types::ScopeSet;
/// use resource_server::OperationScopes;
///
/// let scopes = OperationScopes::new("files:read")?
///     .tool("list-files", "files:read")?
///     .tool("write-file", "files:read files:write")?
///     .tool_with("delete", "files:write files:admin", |arguments| {
///         let is_folder = arguments.get("path")?.as_str()?.ends_with('/');
///         ScopeSet::parse(if is_folder { "files:admin" } else { "files:write" }).ok()
///     })?;
/// let body = br#"{"method":"tools/call","params":{"name":"delete","arguments":{"path":"a/"}}}"#;
/// let required = scopes.required_for(&HeaderMap::new(), body)?;
/// assert_eq!(required.as_str(), "files:read files:admin");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OperationScopes {
    base: ScopeSet,
    strictest: ScopeSet,
    /// Sorted by operation, so that a lookup needs no copy of the requested operation.
    rows: Vec<(Operation, Row)>,
    /// `true` if at least one operation needs no token.
    pub(crate) is_mixed: bool,
}

#[derive(Clone)]
pub(crate) enum Row {
    /// The same scopes for every call, including the base.
    Fixed(ScopeSet),
    /// No scope and no token.
    Public,
    /// No token is needed; a presented token needs these scopes.
    Optional(ScopeSet),
    /// Decided by the host from the `params` of the JSON-RPC message.
    Decided(Decide),
}

type Decide = Arc<dyn Fn(&Value) -> Option<ScopeSet> + Send + Sync>;

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(scopes) => scopes.fmt(f),
            Self::Public => f.write_str("public"),
            Self::Optional(scopes) => write!(f, "without a token, or {scopes:?}"),
            Self::Decided(_) => f.write_str("decided by the host"),
        }
    }
}

impl OperationScopes {
    /// Creates a table in which every request needs `base`.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if the text is not a list of scopes, or if it is empty.
    pub fn new(base: &str) -> Result<Self, InvalidScope> {
        let base = ScopeSet::parse(base)?;
        // An empty base is refused, so that a forgotten setting does not open the server.
        if base.is_empty() {
            return Err(InvalidScope::Empty);
        }
        Ok(Self { strictest: base.clone(), base, rows: Vec::new(), is_mixed: false })
    }

    /// Creates a table without a base: methods that list things need only a valid token.
    ///
    /// An operation without a row still needs all scopes of the table. In this table the scopes of a row may be empty;
    /// its operation then needs only a valid token.
    #[must_use]
    pub const fn for_any_token() -> Self {
        Self {
            base: ScopeSet::empty(),
            rows: Vec::new(),
            strictest: ScopeSet::empty(),
            is_mixed: false,
        }
    }

    /// Parses the scopes of a row.
    pub(crate) fn scopes(&self, text: &str) -> Result<ScopeSet, InvalidScope> {
        let scopes = ScopeSet::parse(text)?;
        if scopes.is_empty() && !self.base.is_empty() {
            return Err(InvalidScope::Empty);
        }
        Ok(scopes)
    }

    /// Sets the scopes that a tool needs.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] under the same conditions as for [`new`](Self::new).
    pub fn tool(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::tool(name), scopes)
    }

    /// Lets the host decide which scopes a tool call needs, from its `arguments`.
    ///
    /// `at_most` contains all scopes that `decide` may return; they are listed in the metadata, and operations without
    /// a row need them too.
    ///
    /// The call is denied, whatever the token grants, if `decide` panics, or if it returns `None`, an empty set or a
    /// scope that is in no row. Of a repeated member `decide` sees the last value, as servers based on `serde_json` do.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] under the same conditions as for [`new`](Self::new).
    pub fn tool_with(
        self,
        name: &str,
        at_most: &str,
        decide: impl Fn(&Value) -> Option<ScopeSet> + Send + Sync + 'static,
    ) -> Result<Self, InvalidScope> {
        self.operation_with(Operation::tool(name), at_most, move |params| {
            decide(params.get("arguments").unwrap_or(&Value::Null))
        })
    }

    /// Sets the scopes that a prompt needs.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] under the same conditions as for [`new`](Self::new).
    pub fn prompt(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::new("prompts/get", Some(name)), scopes)
    }

    /// Sets the scopes that reading a resource needs.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] under the same conditions as for [`new`](Self::new).
    pub fn resource(self, uri: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::new("resources/read", Some(uri)), scopes)
    }

    /// Sets the scopes that any operation needs.
    ///
    /// An operation without a name stands for all operations of its method that have no row of their own, for example
    /// `Operation::new("resources/read", None)` for resources that are not listed.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] under the same conditions as for [`new`](Self::new).
    pub fn operation(self, operation: Operation, scopes: &str) -> Result<Self, InvalidScope> {
        let scopes = self.base.union(&self.scopes(scopes)?)?;
        self.row(operation, &scopes.clone(), Row::Fixed(scopes))
    }

    /// Lets the host decide which scopes any operation needs, from its `params`.
    ///
    /// The rules are those of [`tool_with`](Self::tool_with).
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] under the same conditions as for [`new`](Self::new).
    pub fn operation_with(
        self,
        operation: Operation,
        at_most: &str,
        decide: impl Fn(&Value) -> Option<ScopeSet> + Send + Sync + 'static,
    ) -> Result<Self, InvalidScope> {
        let at_most = self.scopes(at_most)?;
        self.row(operation, &at_most, Row::Decided(Arc::new(decide)))
    }

    pub(crate) fn row(
        mut self,
        operation: Operation,
        at_most: &ScopeSet,
        row: Row,
    ) -> Result<Self, InvalidScope> {
        self.strictest = self.strictest.union(at_most)?;
        Ok(self.insert(operation, row))
    }

    pub(crate) fn insert(mut self, operation: Operation, row: Row) -> Self {
        let found = self.find(operation.method(), operation.name());
        if let Ok(at) = found {
            self.rows.remove(at);
        }
        self.rows.insert(found.unwrap_or_else(|at| at), (operation, row));
        self
    }

    /// Returns the index of the row of an operation, or the index where it would be inserted.
    fn find(&self, method: &str, name: Option<&str>) -> Result<usize, usize> {
        self.rows.binary_search_by(|(own, _)| (own.method(), own.name()).cmp(&(method, name)))
    }

    /// Returns the rows that may apply to an operation, without those of operations in its parameters.
    ///
    /// Without a row the iterator is empty.
    pub(crate) fn meant(&self, asked: &RequestedOperation<'_>) -> impl Iterator<Item = &Row> {
        let (method, name) = (asked.method(), asked.name());
        let own = name.and_then(|_| self.find(method, name).ok());
        let of_method = self.find(method, None).ok().filter(|_| own.is_none());
        // SEC-234: in the sorted table, the named rows of a method follow its row without a name.
        let named = of_method.into_iter().flat_map(|at| self.rows.iter().skip(at + 1));
        let named = named.take_while(move |(own, _)| own.method() == method);
        let mut asked = Named::new(method, name);
        let named = named.filter(move |(own, _)| asked.may_mean(own.name()));
        let first = own.or(of_method).and_then(|at| self.rows.get(at));
        first.into_iter().chain(named).map(|(_, row)| row)
    }

    /// Returns the scopes that every request needs, for the challenge of a 401.
    #[must_use]
    pub const fn base(&self) -> &ScopeSet {
        &self.base
    }

    /// Returns all scopes of the table, for the metadata.
    #[must_use]
    pub const fn all(&self) -> &ScopeSet {
        &self.strictest
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    /// SEC-149
    #[test]
    fn a_scope_that_is_none_is_refused_when_the_table_is_built() {
        for bad in ["", " ", "a\"b", "a\\", "a\r\nSet-Cookie: x", "\u{e9}", "\u{7f}"] {
            assert!(OperationScopes::new(bad).is_err(), "{bad:?}");
            let scopes = || OperationScopes::new("r").unwrap();
            assert!(scopes().tool("t", bad).is_err(), "{bad:?}");
            assert!(scopes().prompt("p", bad).is_err(), "{bad:?}");
            assert!(scopes().tool_with("t", bad, |_| None).is_err(), "{bad:?}");
        }
        // A table without a base must be requested by its own constructor.
        let scopes = OperationScopes::for_any_token().tool("open", "").unwrap();
        let scopes = scopes.tool("admin", "admin").unwrap();
        let required = |tool: &str| {
            let body = format!(r#"{{"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
            scopes.required_for(&HeaderMap::new(), body.as_bytes()).unwrap().into_owned()
        };
        assert_eq!(
            [required("open"), required("admin"), required("other")].map(|s| s.len()),
            [0, 1, 1]
        );
    }
}
