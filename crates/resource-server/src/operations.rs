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

use core::fmt;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use oauth_types::{InvalidScope, ScopeSet};
use scope_stepup::{Asked, Operation};
use serde_json::{Value, json};

use crate::Denial;

/// The scopes of an operation that needs none.
static NOTHING: ScopeSet = ScopeSet::empty();

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
        let named = named.filter(move |(own, _)| names::may_mean(method, own.name(), name));
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
        if is_encoded(headers) {
            return Err(Denial::encoded_body());
        }
        let asked = Asked::of_request(headers, body).map_err(Denial::unreadable)?;
        let mut required = None;
        let mut params = None;
        for (at, asked) in asked.iter().enumerate() {
            let own = || {
                let params = params.get_or_insert_with(|| all_params(body)).get(at);
                params.cloned().unwrap_or_default()
            };
            required = Some(union(required, self.needed(asked, own)?)?);
            for named in asked.named() {
                let key = if named.method().starts_with("resources/") { "uri" } else { "name" };
                let own = || json!({ key: named.name() });
                required = Some(union(required, self.needed(named, own)?)?);
            }
        }
        Ok(required.unwrap_or(Cow::Borrowed(&self.base)))
    }

    /// What one operation needs. Its parameters are for the host, where the host decides.
    fn needed(
        &self,
        asked: &Asked<'_>,
        params: impl FnOnce() -> Value,
    ) -> Result<Cow<'_, ScopeSet>, Denial> {
        let mut rows = self.meant(asked);
        let Some(first) = rows.next() else {
            return Ok(Cow::Borrowed(if self.is_session_public(asked.method()) {
                &NOTHING
            } else if BASE_METHODS.contains(&asked.method()) {
                &self.base
            } else {
                &self.strictest
            }));
        };
        let mut needed = match first {
            Row::Decided(decide) => {
                Cow::Owned(self.decided(decide, &params()).ok_or_else(Denial::undecided)?)
            }
            row => self.at_most(row),
        };
        for row in rows {
            needed = union(Some(needed), self.at_most(row))?;
        }
        Ok(needed)
    }

    /// The most that a row asks for.
    fn at_most<'a>(&'a self, row: &'a Row) -> Cow<'a, ScopeSet> {
        Cow::Borrowed(match row {
            Row::Fixed(scopes) | Row::Optional(scopes) => scopes,
            Row::Public => &NOTHING,
            Row::Decided(_) => &self.strictest,
        })
    }

    /// What the host says that a message with these parameters needs.
    fn decided(&self, decide: &Decide, params: &Value) -> Option<ScopeSet> {
        // A panic would deny too, but as a broken connection.
        let scopes = catch_unwind(AssertUnwindSafe(|| decide(params))).ok().flatten()?;
        let says_nothing = scopes.is_empty() && !self.base.is_empty();
        if says_nothing || scopes.exceeds(&self.strictest) {
            return None;
        }
        self.base.union(&scopes).ok()
    }
}

/// Both sets of scopes; without a copy where one is in the other, as most requests need what stands in one row.
fn union<'a>(
    all: Option<Cow<'a, ScopeSet>>,
    needed: Cow<'a, ScopeSet>,
) -> Result<Cow<'a, ScopeSet>, Denial> {
    Ok(match all {
        None => needed,
        Some(all) if !needed.exceeds(&all) => all,
        Some(all) => Cow::Owned(all.union(&needed).map_err(|_| Denial::undecided())?),
    })
}

/// The parameters of all messages that ask for something, in their order.
fn all_params(body: &[u8]) -> Vec<Value> {
    let messages = match serde_json::from_slice(body) {
        Ok(Value::Array(messages)) => messages,
        Ok(message) => vec![message],
        Err(_) => Vec::new(),
    };
    let asks = messages.into_iter().filter(|message| message["method"].is_string());
    asks.map(|mut message| message.get_mut("params").map(Value::take).unwrap_or_default()).collect()
}

/// Whether the body is not what it looks like: whoever decodes it behind this would read another one.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity")
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
            r#"{"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"}}}"#,
            r#"{"method":"tasks/list"}"#,
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
                    ScopeSet::parse(match path {
                        "/etc" => "admin",
                        "none" => "",
                        "other" => "in-no-row",
                        _ => "w",
                    })
                    .ok()
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
        for path in ["none", "other", "panic"] {
            let denial = required(call(&format!(r#"{{"path":"{path}"}}"#))).unwrap_err();
            assert_eq!(denial.reason(), crate::DenialReason::ScopeUndecided, "{path}");
        }
        for bad in ["{}", "null", r#"{"path":7}"#] {
            let denial = required(call(bad)).unwrap_err();
            assert_eq!(denial.reason(), crate::DenialReason::ScopeUndecided, "{bad}");
            assert_eq!(denial.into_response().status(), 500, "{bad}");
        }
    }

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

    #[test]
    fn an_operation_without_a_name_stands_for_the_others_of_its_method() {
        let scopes = OperationScopes::new("r")
            .and_then(|scopes| scopes.operation(Operation::new("resources/read", None), "r files"))
            .and_then(|scopes| scopes.resource("secret://", "r admin"))
            .unwrap();
        for (uri, needed) in [("file:///a", "r files"), ("secret://", "r admin")] {
            let body = format!(r#"{{"method":"resources/read","params":{{"uri":"{uri}"}}}}"#);
            let required = scopes.required_for(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(required.as_str(), needed);
        }
        let other = scopes.required_for(&HeaderMap::new(), br#"{"method":"tools/call"}"#).unwrap();
        assert_eq!(other.as_str(), "r files admin");
    }

    /// A table whose rows for one resource ask for more than those of their methods.
    fn guarded() -> OperationScopes {
        let all = |what| Operation::new(what, None);
        OperationScopes::new("r")
            .and_then(|scopes| scopes.operation(all("resources/read"), "files"))
            .and_then(|scopes| scopes.resource("file:///secret", "admin"))
            .and_then(|scopes| scopes.operation(all("resources/subscribe"), "watch"))
            .and_then(|scopes| scopes.prompt("p", "prompt"))
            .unwrap()
    }

    fn required_by(scopes: &OperationScopes, body: &Value) -> Vec<String> {
        let required = scopes.required_for(&HeaderMap::new(), body.to_string().as_bytes());
        let mut all: Vec<_> = required.unwrap().iter().map(str::to_owned).collect();
        all.sort();
        all
    }

    #[test]
    fn sec_234_another_spelling_of_a_resource_needs_the_strictest_row_that_it_may_mean() {
        let scopes = guarded();
        let read = |uri: &str| {
            required_by(&scopes, &json!({"method": "resources/read", "params": {"uri": uri}}))
        };
        assert_eq!(read("file:///public"), ["files", "r"]);
        assert_eq!(read("file:///secret"), ["admin", "r"]);
        for spelling in ["file:///./secret", "FILE:///secret", "file:///%73ecret", "file:/secret"] {
            assert_eq!(read(spelling), ["admin", "files", "r"], "{spelling}");
        }
        // Where the host decides about the row, it is not asked about another resource.
        let decided = guarded()
            .operation_with(Operation::new("resources/read", Some("file:///own")), "own", |_| None)
            .unwrap();
        let body = json!({"method": "resources/read", "params": {"uri": "FILE:///own"}});
        let all = ["admin", "files", "own", "prompt", "r", "watch"];
        assert_eq!(required_by(&decided, &body), all);
        // A method whose names are not read here may mean any of its rows.
        let skills = guarded()
            .operation(Operation::new("skills/get", None), "skills")
            .and_then(|scopes| scopes.operation(Operation::new("skills/get", Some("s:a")), "admin"))
            .unwrap();
        let body = json!({"method": "skills/get", "params": {"uri": "s:b"}});
        assert_eq!(required_by(&skills, &body), ["admin", "r", "skills"]);
    }

    #[test]
    fn sec_234_a_subscription_needs_what_each_of_its_resources_needs() {
        let scopes = guarded();
        let listen = |uris: &[&str]| {
            let filter = json!({"toolsListChanged": true, "resourceSubscriptions": uris});
            let params = json!({"notifications": filter});
            required_by(&scopes, &json!({"method": "subscriptions/listen", "params": params}))
        };
        assert_eq!(listen(&[]), ["r"]);
        assert_eq!(listen(&["file:///public"]), ["files", "r", "watch"]);
        for secret in ["file:///secret", "file:///%73ecret"] {
            let required = listen(&["file:///public", secret]);
            assert_eq!(required, ["admin", "files", "r", "watch"], "{secret}");
        }
        let scopes = guarded().operation(Operation::new("completion/complete", None), "r").unwrap();
        let complete = |reference: Value| {
            required_by(
                &scopes,
                &json!({"method": "completion/complete", "params": {"ref": reference}}),
            )
        };
        assert_eq!(complete(json!({"name": "p"})), ["prompt", "r"]);
        assert_eq!(complete(json!({"uri": "file:///secret"})), ["admin", "r"]);
        assert_eq!(complete(json!({"uri": "file:///{name}"})), ["admin", "files", "r"]);
    }

    #[test]
    fn a_body_that_has_to_be_decoded_is_not_decided_about() {
        let scopes = OperationScopes::new("r").unwrap();
        let body = br#"{"method":"ping"}"#;
        for (coding, status) in
            [("identity", None), ("br", Some(415)), ("identity, gzip", Some(415))]
        {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap())]);
            let denial = scopes.required_for(&headers, body).err();
            let found = denial.map(|denial| denial.into_response().status().as_u16());
            assert_eq!(found, status, "{coding}");
            // The same for what cannot be read before it is decoded.
            let denial = scopes.required_for(&headers, &[0x1f, 0x8b]).unwrap_err();
            assert_eq!(denial.into_response().status().as_u16(), status.unwrap_or(400), "{coding}");
        }
    }
}
