//! Which scopes an operation needs: a table that fails closed.
//!
//! | the request names | rows that count | requirement |
//! |---|---|---|
//! | an operation with a row of its own | that row | SEC-216 |
//! | a resource without one | the method's row, and each row of the method whose URI a server may take for this one | SEC-234 |
//! | a resource by a URI that is not in its normal form, or an operation whose name is not read | the method's row, and all named rows of the method | SEC-234 |
//! | an operation of a method without a row for all others | none: everything that any row needs | SEC-216 |
//! | further operations in its parameters ([`Asked::named`]) | also those of each | SEC-234 |

mod names;
mod required;

use core::fmt;
use std::sync::Arc;

use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::{Asked, Operation};
use serde_json::Value;

use self::names::Named;
pub(crate) use self::required::is_encoded;

/// MCP methods that need no more than the base: they tell what there is, or are about the caller's own session.
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

/// The scopes of each operation.
///
/// An operation that is in no row needs everything that any row needs, so that a tool that was forgotten is
/// closed and not open. What lists things, and what is about a session itself, needs the base.
///
/// A row for one resource beside a row for all others of its method holds for each spelling that a server may take for
/// its URI: case of letters, a final slash, query, fragment and the host of a `file` URI make no other resource. A URI
/// that is not in its normal form (escapes of what needs none, dot segments, empty segments, capitals in the scheme or
/// host) needs everything that a row of the method needs. So name resources by URIs in their normal form.
///
/// Some file systems find one file by several names, so the row also holds for URIs that differ from its own by dots or
/// spaces around a segment (`/secret.`), by an alternate stream (`/secret::$DATA`) or by letters beyond ASCII, which may
/// stand for any text (full-width letters, composed and decomposed accents, characters that are passed over). A short
/// name (`/SECRET~1`) may be any. A resource whose name has such letters may need the scopes of a row beside it for that
/// reason: give it a row of its own.
///
/// `subscriptions/listen` needs what `resources/subscribe` and `resources/read` need for each resource that it names,
/// and `completion/complete` what `prompts/get` or `resources/read` needs for its `ref`.
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
    /// Sorted by operation, so that what a message asks for is found without being copied.
    rows: Vec<(Operation, Row)>,
    /// Some operation needs no token.
    pub(crate) is_mixed: bool,
}

#[derive(Clone)]
pub(crate) enum Row {
    /// The same for every call, the base included.
    Fixed(ScopeSet),
    /// Nothing, and no token.
    Public,
    /// Nothing without a token; these scopes of a token that is presented.
    Optional(ScopeSet),
    /// Decided by the host, from the JSON-RPC message.
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
    /// A table in which every request needs `base`.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when it is not a list of scopes, or an empty one.
    pub fn new(base: &str) -> Result<Self, InvalidScope> {
        let base = ScopeSet::parse(base)?;
        // A setting that was forgotten opens nothing.
        if base.is_empty() {
            return Err(InvalidScope::Empty);
        }
        Ok(Self { strictest: base.clone(), base, rows: Vec::new(), is_mixed: false })
    }

    /// A table in which a good token is enough, whatever it grants, for all that stands in no row of it. Here, and only
    /// here, the scopes of a row may be empty too.
    #[must_use]
    pub const fn for_any_token() -> Self {
        Self {
            base: ScopeSet::empty(),
            rows: Vec::new(),
            strictest: ScopeSet::empty(),
            is_mixed: false,
        }
    }

    /// Scopes of a row, as the host names them.
    pub(crate) fn scopes(&self, text: &str) -> Result<ScopeSet, InvalidScope> {
        let scopes = ScopeSet::parse(text)?;
        if scopes.is_empty() && !self.base.is_empty() {
            return Err(InvalidScope::Empty);
        }
        Ok(scopes)
    }

    /// Says what a tool needs.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn tool(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::tool(name), scopes)
    }

    /// Lets the host say what a call of a tool needs, from the `arguments` that it carries. `at_most` are all
    /// scopes that it may name, for the metadata and for operations in no row.
    ///
    /// A `decide` that panics, returns `None`, no scope, or one that no row names, denies the call, whatever the token
    /// grants. Of a member that the arguments have twice it sees the last, as servers built with `serde_json` do.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
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

    /// Says what a prompt needs.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn prompt(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::new("prompts/get", Some(name)), scopes)
    }

    /// Says what reading a resource needs.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn resource(self, uri: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::new("resources/read", Some(uri)), scopes)
    }

    /// Says what any operation needs. One without a name stands for all of its method that are in no row of their own:
    /// `Operation::new("resources/read", None)` for resources that nobody can list.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn operation(self, operation: Operation, scopes: &str) -> Result<Self, InvalidScope> {
        let scopes = self.base.union(&self.scopes(scopes)?)?;
        self.row(operation, &scopes.clone(), Row::Fixed(scopes))
    }

    /// Lets the host say what any operation needs, from the `params` of its message; as
    /// [`tool_with`](Self::tool_with).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
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

    /// Where the row of an operation stands, or would have to.
    fn find(&self, method: &str, name: Option<&str>) -> Result<usize, usize> {
        self.rows.binary_search_by(|(own, _)| (own.method(), own.name()).cmp(&(method, name)))
    }

    /// The rows that an operation may mean, without what its parameters name beside; none if it is in no row.
    pub(crate) fn meant(&self, asked: &Asked<'_>) -> impl Iterator<Item = &Row> {
        let (method, name) = (asked.method(), asked.name());
        let own = name.and_then(|_| self.find(method, name).ok());
        let of_method = self.find(method, None).ok().filter(|_| own.is_none());
        // SEC-234: the named rows of a method follow the one without a name.
        let named = of_method.and_then(|at| self.rows.get(at + 1..)).unwrap_or_default();
        let named = named.iter().take_while(move |(own, _)| own.method() == method);
        let mut asked = Named::new(method, name);
        let named = named.filter(move |(own, _)| asked.may_mean(own.name()));
        let first = own.or(of_method).and_then(|at| self.rows.get(at));
        first.into_iter().chain(named).map(|(_, row)| row)
    }

    /// What every request needs, and what a client without a token is told to ask for.
    #[must_use]
    pub const fn base(&self) -> &ScopeSet {
        &self.base
    }

    /// Every scope that any operation needs, for the metadata.
    #[must_use]
    pub const fn all(&self) -> &ScopeSet {
        &self.strictest
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn sec_149_a_scope_that_is_none_is_refused_when_the_table_is_built() {
        for bad in ["", " ", "a\"b", "a\\", "a\r\nSet-Cookie: x", "\u{e9}", "\u{7f}"] {
            assert!(OperationScopes::new(bad).is_err(), "{bad:?}");
            let scopes = || OperationScopes::new("r").unwrap();
            assert!(scopes().tool("t", bad).is_err(), "{bad:?}");
            assert!(scopes().prompt("p", bad).is_err(), "{bad:?}");
            assert!(scopes().tool_with("t", bad, |_| None).is_err(), "{bad:?}");
        }
        // Whoever means it says so.
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
