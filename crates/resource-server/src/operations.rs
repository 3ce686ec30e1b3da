//! Which scopes an operation needs: a table that fails closed.

use core::fmt;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::HeaderMap;
use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::{Asked, Operation};
use serde_json::Value;

use crate::Denial;

/// MCP methods that need no more than the base: they reveal or change nothing by themselves.
const BASE_METHODS: [&str; 16] = [
    "completion/complete",
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
    "tasks/list",
    "tools/list",
];

/// The scopes of each operation.
///
/// An operation that is in no row needs everything that any row needs, so that a tool that was forgotten is
/// closed and not open.
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
}

#[derive(Clone)]
enum Row {
    /// The same for every call, the base included.
    Fixed(ScopeSet),
    /// Decided by the host, from the JSON-RPC message.
    Decided(Decide),
}

type Decide = Arc<dyn Fn(&Value) -> Option<ScopeSet> + Send + Sync>;

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(scopes) => scopes.fmt(f),
            Self::Decided(_) => f.write_str("decided by the host"),
        }
    }
}

impl OperationScopes {
    /// A table in which every request needs `base`.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when it is not a list of scopes.
    pub fn new(base: &str) -> Result<Self, InvalidScope> {
        let base = ScopeSet::parse(base)?;
        Ok(Self { strictest: base.clone(), base, rows: Vec::new() })
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
    /// A `decide` that returns `None` or panics denies the call, whatever the token grants. Of a member that
    /// the arguments have twice it sees the last, as servers built with `serde_json` do.
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

    /// Says what any operation needs.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn operation(self, operation: Operation, scopes: &str) -> Result<Self, InvalidScope> {
        let scopes = self.base.union(&ScopeSet::parse(scopes)?)?;
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
        let at_most = ScopeSet::parse(at_most)?;
        self.row(operation, &at_most, Row::Decided(Arc::new(decide)))
    }

    fn row(
        mut self,
        operation: Operation,
        at_most: &ScopeSet,
        row: Row,
    ) -> Result<Self, InvalidScope> {
        self.strictest = self.strictest.union(at_most)?;
        let found = self.find(operation.method(), operation.name());
        if let Ok(at) = found {
            self.rows.remove(at);
        }
        self.rows.insert(found.unwrap_or_else(|at| at), (operation, row));
        Ok(self)
    }

    /// Where the row of an operation stands, or would have to.
    fn find(&self, method: &str, name: Option<&str>) -> Result<usize, usize> {
        self.rows.binary_search_by(|(own, _)| (own.method(), own.name()).cmp(&(method, name)))
    }

    fn get(&self, asked: &Asked<'_>) -> Option<&Row> {
        let at = self.find(asked.method(), asked.name()).ok()?;
        self.rows.get(at).map(|(_, row)| row)
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

    /// What a request needs: everything that any of its operations needs. The body decides, as
    /// [`Operation::of_request`] says.
    ///
    /// # Errors
    ///
    /// [`Denial`] when the body is not JSON-RPC, when a header contradicts it, or when the host could not
    /// decide.
    pub fn required_for(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Cow<'_, ScopeSet>, Denial> {
        let asked = Asked::of_request(headers, body).map_err(Denial::unreadable)?;
        let mut required = Cow::Borrowed(&self.base);
        for (at, asked) in asked.iter().enumerate() {
            let needed = match self.get(asked) {
                Some(Row::Fixed(scopes)) => Cow::Borrowed(scopes),
                Some(Row::Decided(decide)) => {
                    let scopes = decided(decide, body, at).ok_or_else(Denial::undecided)?;
                    Cow::Owned(self.base.union(&scopes).map_err(|_| Denial::undecided())?)
                }
                None if BASE_METHODS.contains(&asked.method()) => continue,
                None => Cow::Borrowed(&self.strictest),
            };
            // Every row includes the base, so most requests need what stands in one row.
            required = if at == 0 {
                needed
            } else {
                Cow::Owned(required.union(&needed).map_err(|_| Denial::undecided())?)
            };
        }
        Ok(required)
    }
}

/// What the host says of the message at this place among those that ask for something.
fn decided(decide: &Decide, body: &[u8], at: usize) -> Option<ScopeSet> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let messages = body.as_array().map_or(core::slice::from_ref(&body), Vec::as_slice);
    let message = messages.iter().filter(|message| message["method"].is_string()).nth(at)?;
    let params = message.get("params").unwrap_or(&Value::Null);
    // A panic would deny too, but as a broken connection.
    catch_unwind(AssertUnwindSafe(|| decide(params))).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(body: &str) -> String {
        let scopes = OperationScopes::new("r")
            .and_then(|scopes| scopes.tool("list", "r"))
            .and_then(|scopes| scopes.tool("write", "r w"))
            .and_then(|scopes| scopes.prompt("p", "p"))
            .unwrap();
        scopes.required_for(&HeaderMap::new(), body.as_bytes()).unwrap().as_str().to_owned()
    }

    #[test]
    fn sec_213_the_body_names_what_is_needed() {
        assert_eq!(required(r#"{"method":"tools/call","params":{"name":"list"}}"#), "r");
        assert_eq!(required(r#"{"method":"tools/call","params":{"name":"write"}}"#), "r w");
        assert_eq!(required(r#"{"method":"prompts/get","params":{"name":"p"}}"#), "r p");
        assert_eq!(required(r#"{"method":"tools/list"}"#), "r");
        assert_eq!(required(r#"{"id":1,"result":{}}"#), "r");
    }

    #[test]
    fn sec_216_unknown_operations_need_the_strictest_and_batches_the_union() {
        for unknown in [
            r#"{"method":"tools/call","params":{"name":"Write"}}"#,
            r#"{"method":"tools/call"}"#,
            r#"{"method":"tools/call2"}"#,
            r#"[{"method":"ping"},{"method":"x"}]"#,
        ] {
            assert_eq!(required(unknown), "r w p", "{unknown}");
        }
        let batch = r#"[{"method":"ping"},{"method":"tools/call","params":{"name":"write"}}]"#;
        assert_eq!(required(batch), "r w");
        let scopes = OperationScopes::new("r").unwrap();
        let denial = scopes.required_for(&HeaderMap::new(), b"x").unwrap_err();
        assert_eq!(denial.into_response().status(), 400);
    }

    #[test]
    fn sec_153_a_host_that_cannot_decide_lets_nobody_in() {
        let scopes = OperationScopes::new("r")
            .and_then(|scopes| {
                scopes.tool_with("by-path", "w admin", |arguments| {
                    let path = arguments.get("path")?.as_str()?;
                    assert!(path != "panic", "a bug of the host");
                    ScopeSet::parse(if path == "/etc" { "admin" } else { "w" }).ok()
                })
            })
            .unwrap();
        assert_eq!(scopes.all().as_str(), "r w admin");
        let call = |arguments: &str| {
            let params = format!(r#"{{"name":"by-path","arguments":{arguments}}}"#);
            format!(r#"{{"id":1,"method":"tools/call","params":{params}}}"#)
        };
        let required = |body: String| scopes.required_for(&HeaderMap::new(), body.as_bytes());
        let (home, etc) = (call(r#"{"path":"/home"}"#), call(r#"{"path":"/etc"}"#));
        assert_eq!(required(home.clone()).unwrap().as_str(), "r w");
        assert_eq!(required(etc.clone()).unwrap().as_str(), "r admin");
        // Each message of a batch is decided by its own arguments.
        let batch = format!(r#"[{{"id":0,"result":{{}}}},{home},{{"method":"ping"}},{etc}]"#);
        assert_eq!(required(batch).unwrap().as_str(), "r w admin");
        for bad in ["{}", "null", r#"{"path":7}"#, r#"{"path":"panic"}"#] {
            let denial = required(call(bad)).unwrap_err();
            assert_eq!(denial.reason(), crate::DenialReason::ScopeUndecided, "{bad}");
            assert_eq!(denial.into_response().status(), 500, "{bad}");
        }
    }

    #[test]
    fn sec_149_a_scope_that_is_none_is_refused_when_the_table_is_built() {
        for bad in ["a\"b", "a\\", "a\r\nSet-Cookie: x", "\u{e9}", "\u{7f}"] {
            assert!(OperationScopes::new("r").unwrap().tool("t", bad).is_err(), "{bad:?}");
        }
    }
}
