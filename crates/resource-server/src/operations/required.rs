//! Scopes that a request needs: the union over all operations in its body.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use oauth_types::ScopeSet;
use scope_stepup::RequestedOperation;
use serde_json::{Value, json};

use super::{BASE_METHODS, Decide, OperationScopes, Row};
use crate::denial::Denial;

/// Scopes of a public operation.
static NOTHING: ScopeSet = ScopeSet::empty();

impl OperationScopes {
    /// Returns the scopes that a request needs: the union over all its operations.
    ///
    /// The operations are read from the body by [`Operation::of_request`](scope_stepup::Operation::of_request).
    ///
    /// # Errors
    ///
    /// [`Denial`] if the body is not JSON-RPC or has a content coding, if a header contradicts it, or if the host could
    /// not decide.
    pub fn required_for(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Cow<'_, ScopeSet>, Denial> {
        if is_encoded(headers) {
            return Err(Denial::encoded_body());
        }
        let asked = RequestedOperation::of_request(headers, body).map_err(Denial::unreadable)?;
        let mut required = None;
        let mut params = None;
        for (at, asked) in asked.iter().enumerate() {
            let own = || {
                let all = match params.take() {
                    Some(all) => all,
                    None => all_params(body)?,
                };
                params.insert(all).get(at).cloned().ok_or_else(Denial::unreadable_body)
            };
            required = Some(union(required, self.needed(asked, own)?)?);
            for named in asked.named() {
                let key = if named.method().starts_with("resources/") { "uri" } else { "name" };
                let own = || Ok(json!({ key: named.name() }));
                required = Some(union(required, self.needed(named, own)?)?);
            }
        }
        Ok(required.unwrap_or(Cow::Borrowed(&self.base)))
    }

    /// Returns the scopes that one operation needs; `params` is evaluated only if the host decides.
    fn needed(
        &self,
        asked: &RequestedOperation<'_>,
        params: impl FnOnce() -> Result<Value, Denial>,
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
                Cow::Owned(self.decided(decide, &params()?).ok_or_else(Denial::undecided)?)
            }
            row => self.at_most(row),
        };
        for row in rows {
            needed = union(Some(needed), self.at_most(row))?;
        }
        Ok(needed)
    }

    /// Returns the most scopes that a row can need.
    fn at_most<'a>(&'a self, row: &'a Row) -> Cow<'a, ScopeSet> {
        Cow::Borrowed(match row {
            Row::Fixed(scopes) | Row::Optional(scopes) => scopes,
            Row::Public => &NOTHING,
            Row::Decided(_) => &self.strictest,
        })
    }

    /// Calls the host's function for these parameters; `None` denies the request.
    fn decided(&self, decide: &Decide, params: &Value) -> Option<ScopeSet> {
        // An uncaught panic would also deny the request, but as a broken connection.
        let scopes = catch_unwind(AssertUnwindSafe(|| decide(params))).ok().flatten()?;
        let says_nothing = scopes.is_empty() && !self.base.is_empty();
        if says_nothing || scopes.exceeds(&self.strictest) {
            return None;
        }
        self.base.union(&scopes).ok()
    }
}

/// Returns the union of both sets, without a copy if one set contains the other.
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

/// Returns the `params` of all requests and notifications in the body, in order; `null` for absent ones.
///
/// A parser that only looks for names skips a number beyond all bounds, half of a surrogate pair, and deep nesting.
/// Here they are refused, because the service may read them, and the host would decide about other parameters.
fn all_params(body: &[u8]) -> Result<Vec<Value>, Denial> {
    let messages = match serde_json::from_slice(body) {
        Ok(Value::Array(messages)) => messages,
        Ok(message) => vec![message],
        Err(_) => return Err(Denial::unreadable_body()),
    };
    let asks = messages.into_iter().filter(|message| message["method"].is_string());
    let params = asks.map(|mut message| message.get_mut("params").map(Value::take));
    Ok(params.map(|params| params.unwrap_or(Value::Null)).collect())
}

/// Returns `true` if the body has a content coding: the service would decode it into another body.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity")
}

#[cfg(test)]
mod tests {
    use scope_stepup::Operation;

    use super::*;
    use crate::denial::DenialReason;

    fn required(body: &str) -> String {
        let scopes = OperationScopes::new("r")
            .and_then(|scopes| scopes.tool("list", "r"))
            .and_then(|scopes| scopes.tool("write", "r w"))
            .and_then(|scopes| scopes.prompt("p", "p"))
            .unwrap();
        scopes.required_for(&HeaderMap::new(), body.as_bytes()).unwrap().as_str().to_owned()
    }

    /// SEC-213
    #[test]
    fn the_body_names_what_is_needed() {
        assert_eq!(required(r#"{"method":"tools/call","params":{"name":"list"}}"#), "r");
        assert_eq!(required(r#"{"method":"tools/call","params":{"name":"write"}}"#), "r w");
        assert_eq!(required(r#"{"method":"prompts/get","params":{"name":"p"}}"#), "r p");
        assert_eq!(required(r#"{"method":"tools/list"}"#), "r");
        assert_eq!(required(r#"{"id":1,"result":{}}"#), "r");
    }

    /// SEC-216
    #[test]
    fn unknown_operations_need_the_strictest_and_batches_the_union() {
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

    /// SEC-153
    #[test]
    fn a_host_that_cannot_decide_lets_nobody_in() {
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
            assert_eq!(denial.reason(), DenialReason::ScopeUndecided, "{path}");
        }
        for bad in ["{}", "null", r#"{"path":7}"#] {
            let denial = required(call(bad)).unwrap_err();
            assert_eq!(denial.reason(), DenialReason::ScopeUndecided, "{bad}");
            assert_eq!(denial.into_response().status(), 500, "{bad}");
        }
    }

    /// SEC-253: the host decides about what was sent.
    #[test]
    fn unreadable_parameters_are_refused_and_do_not_count_as_none() {
        let scopes = OperationScopes::new("r").and_then(|scopes| {
            scopes.tool_with("by-path", "w admin", |arguments| {
                ScopeSet::parse(if arguments["path"] == "/etc" { "admin" } else { "w" }).ok()
            })
        });
        let scopes = scopes.unwrap();
        let deep = ["[".repeat(200), "]".repeat(200)].concat();
        for (more, is_read) in
            [("1e9", true), ("1e999", false), (r#""\ud800""#, false), (&deep, false)]
        {
            let arguments = format!(r#"{{"path":"/etc","more":{more}}}"#);
            let params = format!(r#"{{"name":"by-path","arguments":{arguments}}}"#);
            let body = format!(r#"{{"id":1,"method":"tools/call","params":{params}}}"#);
            match scopes.required_for(&HeaderMap::new(), body.as_bytes()) {
                Ok(required) => assert!(is_read && required.as_str() == "r admin", "{more}"),
                Err(denial) => {
                    assert!(!is_read, "{more}");
                    assert_eq!(denial.reason(), DenialReason::UnreadableBody);
                    assert_eq!(denial.into_response().status(), 400);
                }
            }
        }
    }

    #[test]
    fn a_row_without_a_name_covers_the_rest_of_its_method() {
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

    /// A table whose rows for single resources need more than the rows of their methods.
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

    /// SEC-234: the strictest of the rows that it may mean counts.
    #[test]
    fn another_spelling_of_a_resource_needs_the_strictest_row() {
        let scopes = guarded();
        let read = |uri: &str| {
            required_by(&scopes, &json!({"method": "resources/read", "params": {"uri": uri}}))
        };
        assert_eq!(read("file:///public"), ["files", "r"]);
        assert_eq!(read("file:///secret"), ["admin", "r"]);
        for spelling in ["file:///./secret", "FILE:///secret", "file:///%73ecret", "file:/secret"] {
            assert_eq!(read(spelling), ["admin", "files", "r"], "{spelling}");
        }
        // The function of the host is not called for another resource.
        let decided = guarded()
            .operation_with(Operation::new("resources/read", Some("file:///own")), "own", |_| None)
            .unwrap();
        let body = json!({"method": "resources/read", "params": {"uri": "FILE:///own"}});
        let all = ["admin", "files", "own", "prompt", "r", "watch"];
        assert_eq!(required_by(&decided, &body), all);
        // A method whose names are not read may apply to any of its rows.
        let skills = guarded()
            .operation(Operation::new("skills/get", None), "skills")
            .and_then(|scopes| scopes.operation(Operation::new("skills/get", Some("s:a")), "admin"))
            .unwrap();
        let body = json!({"method": "skills/get", "params": {"uri": "s:b"}});
        assert_eq!(required_by(&skills, &body), ["admin", "r", "skills"]);
    }

    /// SEC-234
    #[test]
    fn a_subscription_needs_what_each_of_its_resources_needs() {
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
            // The same applies to a body that must be decoded first.
            let denial = scopes.required_for(&headers, &[0x1f, 0x8b]).unwrap_err();
            assert_eq!(denial.into_response().status().as_u16(), status.unwrap_or(400), "{coding}");
        }
    }
}
