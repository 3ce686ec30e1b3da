//! Which scopes an operation needs: a table that fails closed.

use std::collections::BTreeMap;

use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::Operation;

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
/// use resource_server::OperationScopes;
/// use scope_stepup::Operation;
///
/// let scopes = OperationScopes::new("files:read")?
///     .tool("list-files", "files:read")?
///     .tool("write-file", "files:read files:write")?;
/// let required = scopes.required(&[Operation::tool("write-file")]);
/// assert_eq!(required.as_str(), "files:read files:write");
/// # Ok::<(), oauth_types::InvalidScope>(())
/// ```
#[derive(Clone, Debug)]
pub struct OperationScopes {
    base: ScopeSet,
    strictest: ScopeSet,
    rows: BTreeMap<Operation, ScopeSet>,
}

impl OperationScopes {
    /// A table in which every request needs `base`.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when it is not a list of scopes.
    pub fn new(base: &str) -> Result<Self, InvalidScope> {
        let base = ScopeSet::parse(base)?;
        Ok(Self { strictest: base.clone(), base, rows: BTreeMap::new() })
    }

    /// Says what a tool needs.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn tool(self, name: &str, scopes: &str) -> Result<Self, InvalidScope> {
        self.operation(Operation::tool(name), scopes)
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
    pub fn operation(mut self, operation: Operation, scopes: &str) -> Result<Self, InvalidScope> {
        let scopes = ScopeSet::parse(scopes)?;
        self.strictest = self.strictest.union(&scopes)?;
        self.rows.insert(operation, scopes);
        Ok(self)
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

    /// What a request that asks for all of these operations needs.
    #[must_use]
    pub fn required(&self, operations: &[Operation]) -> ScopeSet {
        let mut required = self.base.clone();
        for operation in operations {
            let needed = match self.rows.get(operation) {
                Some(scopes) => scopes,
                None if self.is_base(operation) => continue,
                None => return self.strictest.clone(),
            };
            // A union of parts of the strictest stays within its bounds.
            required = required.union(needed).unwrap_or_else(|_| self.strictest.clone());
        }
        required
    }

    /// What a request with this body needs. The body decides, never a header: a server that executes the
    /// body must not be led by what a header says about it.
    ///
    /// # Errors
    ///
    /// [`Denial`] when the body is not JSON-RPC.
    pub fn required_for_body(&self, body: &[u8]) -> Result<ScopeSet, Denial> {
        let operations = Operation::of_body(body).map_err(|_| Denial::unreadable_body())?;
        Ok(self.required(&operations))
    }

    fn is_base(&self, operation: &Operation) -> bool {
        BASE_METHODS.contains(&operation.method())
    }
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
        scopes.required_for_body(body.as_bytes()).unwrap().as_str().to_owned()
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
        let denial = scopes.required_for_body(b"x").unwrap_err();
        assert_eq!(denial.into_response().status(), 400);
    }

    #[test]
    fn sec_149_a_scope_that_is_none_is_refused_when_the_table_is_built() {
        for bad in ["a\"b", "a\\", "a\r\nSet-Cookie: x", "\u{e9}", "\u{7f}"] {
            assert!(OperationScopes::new("r").unwrap().tool("t", bad).is_err(), "{bad:?}");
        }
    }
}
