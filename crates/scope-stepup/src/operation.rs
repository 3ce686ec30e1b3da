//! Operations of MCP requests, by which scopes are required and attempts are counted.

use core::fmt;

use http::HeaderMap;

use crate::headers;
use crate::message::{RequestedOperation, messages};
use crate::unreadable::UnreadableRequest;

/// Operation of an MCP server: a JSON-RPC method and the name that it acts on.
///
/// The name is that of a tool or prompt, or the URI of a resource; some methods have none. `Display` shows untrusted
/// text escaped and capped.
///
/// # Examples
///
/// ```
/// use scope_stepup::Operation;
///
/// let body = br#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "write-file"}}"#;
/// assert_eq!(Operation::of_body(body)?, [Operation::tool("write-file")]);
/// assert_eq!(Operation::tool("write-file").to_string(), "tools/call write-file");
/// # Ok::<(), scope_stepup::UnreadableRequest>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Operation {
    method: Box<str>,
    name: Option<Box<str>>,
}

impl Operation {
    /// Creates an operation from its JSON-RPC method and the name in the method's parameters.
    #[must_use]
    pub fn new(method: &str, name: Option<&str>) -> Self {
        Self { method: method.into(), name: name.map(Into::into) }
    }

    /// Creates the operation that calls a tool.
    #[must_use]
    pub fn tool(name: &str) -> Self {
        Self::new("tools/call", Some(name))
    }

    /// Returns every operation that a request asks for: one, or all members of a batch.
    ///
    /// A client's response to the server asks for none. The body decides, because the server executes the body. From
    /// MCP 2026-07-28 on, `Mcp-Method`, and `Mcp-Name` for an operation with a name, have to be present once each and
    /// to agree with the body after decoding, so that a proxy that routes or logs by them is not deceived. In older
    /// revisions they are ignored.
    ///
    /// # Errors
    ///
    /// [`UnreadableRequest`] when the body is not JSON-RPC, or a header disagrees with it.
    pub fn of_request(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Self>, UnreadableRequest> {
        RequestedOperation::of_request(headers, body).map(|asked| operations(&asked))
    }

    /// Returns every operation that a request body asks for, without a check of headers.
    ///
    /// For a client, which knows the headers that it sends; the body is read as by [`of_request`](Self::of_request).
    ///
    /// # Errors
    ///
    /// [`UnreadableRequest::Body`] when the body is not JSON-RPC.
    pub fn of_body(body: &[u8]) -> Result<Vec<Self>, UnreadableRequest> {
        messages(body).map(|asked| operations(&asked))
    }

    /// Returns the JSON-RPC method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the name of the tool or prompt, or the URI of the resource.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns `Mcp-Method` and `Mcp-Name` for a request of this operation, as MCP 2026-07-28 requires.
    #[must_use]
    pub fn to_headers(&self) -> HeaderMap {
        headers::write(self.method(), self.name())
    }
}

fn operations(asked: &[RequestedOperation<'_>]) -> Vec<Operation> {
    asked.iter().map(|asked| Operation::new(asked.method(), asked.name())).collect()
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use oauth_types::UntrustedText;
        write!(f, "{}", UntrustedText::new(&self.method))?;
        match &self.name {
            Some(name) => write!(f, " {}", UntrustedText::new(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Vec<String> {
        Operation::of_body(body.as_bytes()).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_body_names_the_operation() {
        assert_eq!(
            of(
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write-file","arguments":{"name":"x"}}}"#
            ),
            ["tools/call write-file"]
        );
        assert_eq!(
            of(r#"{"method":"resources/read","params":{"uri":"file:///a"}}"#),
            ["resources/read file:///a"]
        );
        assert_eq!(of(r#"{"method":"tools/list","params":{"name":"x"}}"#), ["tools/list"]);
        assert_eq!(of(r#"{"id":1,"result":{}}"#), [""; 0]);
    }

    /// SEC-216
    #[test]
    fn each_batch_member_counts_and_other_json_is_an_error() {
        let batch = r#"[{"method":"ping"},{"method":"tools/call","params":{"name":"admin"}}]"#;
        assert_eq!(of(batch), ["ping", "tools/call admin"]);
        for bad in [
            "",
            "x",
            "1",
            "\"a\"",
            r#"{"method":1}"#,
            r#"{"method":null}"#,
            r#"{"id":1,"Method":"tools/call","params":{"name":"admin"}}"#,
            "{}",
            "[]",
            r#"[{"method":"ping"},{}]"#,
            r#"{"method":"tools/call","params":[]}x"#,
            // An array is neither a message nor parameters, whatever it contains.
            r#"["tools/list"]"#,
            r#"[["tools/list",{}]]"#,
            r#"{"method":"tools/call","params":["list"]}"#,
        ] {
            assert_eq!(Operation::of_body(bad.as_bytes()), Err(UnreadableRequest::Body), "{bad}");
        }
    }

    /// SEC-216
    #[test]
    fn a_batch_has_a_hundred_messages_at_most() {
        let batch = |count| format!("[{}]", vec![r#"{"method":"ping"}"#; count].join(","));
        assert_eq!(of(&batch(100)).len(), 100);
        let error = Operation::of_body(batch(101).as_bytes());
        assert_eq!(error, Err(UnreadableRequest::Body));
        assert_eq!(of(r#"[{"id":1,"result":null},{"id":2,"error":{}}]"#), [""; 0]);
    }

    /// Else the service behind may read it another way.
    #[test]
    fn a_body_with_a_doubled_member_is_unreadable() {
        for bad in [
            r#"{"method":"ping","method":"tools/call"}"#,
            r#"{"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        ] {
            assert_eq!(Operation::of_body(bad.as_bytes()), Err(UnreadableRequest::Body), "{bad}");
        }
    }

    /// SEC-234
    #[test]
    fn what_the_parameters_name_is_told_beside_the_operation() {
        let named = |method: &str, params: &str| {
            let body = format!(r#"{{"method":"{method}","params":{params}}}"#);
            let asked = messages(body.as_bytes())?;
            Ok(asked.iter().flat_map(|asked| operations(asked.named())).collect::<Vec<_>>())
        };
        let listen = |filter: &str| {
            named("subscriptions/listen", &format!(r#"{{"notifications":{filter}}}"#))
        };
        let both = |uri| ["subscribe", "read"].map(|what| (format!("resources/{what}"), uri));
        let both = |uri| both(uri).map(|(method, uri)| Operation::new(&method, Some(uri)));
        let found =
            listen(r#"{"toolsListChanged":true,"resourceSubscriptions":["a:b","c:\u0064"]}"#);
        assert_eq!(found, Ok([both("a:b"), both("c:d")].concat()));
        for nothing in ["null", "{}", r#"{"resourceSubscriptions":null}"#] {
            assert_eq!(listen(nothing), Ok(Vec::new()), "{nothing}");
        }
        for bad in [
            "[]",
            "7",
            r#"[null,null,null,["a:b"]]"#,
            r#"{"resourceSubscriptions":"a:b"}"#,
            r#"{"resourceSubscriptions":[7]}"#,
            r#"{"resourceSubscriptions":{"0":"a:b"}}"#,
            r#"{"resourceSubscriptions":[],"resourceSubscriptions":["a:b"]}"#,
        ] {
            assert_eq!(listen(bad), Err(UnreadableRequest::Body), "{bad}");
        }
        let many = |count| format!(r#"{{"resourceSubscriptions":{:?}}}"#, vec!["a:b"; count]);
        assert_eq!(listen(&many(1_000)).unwrap().len(), 2_000);
        assert_eq!(listen(&many(1_001)), Err(UnreadableRequest::Body));

        let complete =
            |reference: &str| named("completion/complete", &format!(r#"{{"ref":{reference}}}"#));
        let prompt = Operation::new("prompts/get", Some("p"));
        let resource = Operation::new("resources/read", Some("a:{b}"));
        assert_eq!(complete(r#"{"type":"ref/prompt","name":"p"}"#), Ok(vec![prompt.clone()]));
        assert_eq!(
            complete(r#"{"type":"ref/resource","uri":"a:{b}"}"#),
            Ok(vec![resource.clone()])
        );
        assert_eq!(complete(r#"{"name":"p","uri":"a:{b}"}"#), Ok(vec![prompt, resource]));
        assert_eq!(complete(r#"["ref/prompt","p"]"#), Err(UnreadableRequest::Body));
        // Of other methods these parameters may have any form.
        let other = r#"{"notifications":[7],"ref":{"name":7}}"#;
        assert_eq!(named("tools/list", other), Ok(Vec::new()));
    }

    #[test]
    fn foreign_names_are_shown_escaped() {
        assert_eq!(Operation::tool("a\u{1b}[2J").to_string(), "tools/call a\\u{1b}[2J");
    }
}
