//! HTTP headers that repeat the method and name of an MCP request.
//!
//! They are `Mcp-Method` and `Mcp-Name` (MCP 2026-07-28, SEP-2243).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use oauth_types::header::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION};

use crate::unreadable::UnreadableRequest;

static METHOD: (HeaderName, &str) = (MCP_METHOD, "Mcp-Method");
static NAME: (HeaderName, &str) = (MCP_NAME, "Mcp-Name");
/// First revision that requires these headers; revisions are dates, which sort as text.
const FIRST: &[u8] = b"2026-07-28";

/// Decoded method and name from the headers of a request.
pub(crate) struct RepeatedNames<'a> {
    method: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

impl<'a> RepeatedNames<'a> {
    /// Reads the headers; `None` in revisions that do not define them.
    pub(crate) fn from_headers(headers: &'a HeaderMap) -> Result<Option<Self>, UnreadableRequest> {
        if !headers.get_all(MCP_PROTOCOL_VERSION).iter().any(|version| version.as_bytes() >= FIRST)
        {
            return Ok(None);
        }
        let (method, name) = (single(headers, &METHOD)?, single(headers, &NAME)?);
        Ok(Some(Self { method, name }))
    }

    /// Checks that the headers agree with a message of the body.
    pub(crate) fn check(&self, method: &str, name: Option<&str>) -> Result<(), UnreadableRequest> {
        match &self.method {
            // Optional for `initialize`, because the revision is negotiated by this request.
            None if method == "initialize" => {}
            Some(own) if **own == *method => {}
            _ => return Err(UnreadableRequest::Header(METHOD.1)),
        }
        if name.is_some() && self.name.as_deref() != name {
            return Err(UnreadableRequest::Header(NAME.1));
        }
        Ok(())
    }
}

/// Returns the headers of a request with this method and name.
///
/// A text is encoded if it cannot stand in a header or looks like an encoded one.
pub(crate) fn write(method: &str, name: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |(name, _): &(HeaderName, &str), text: &str| {
        let is_plain = !text.starts_with("=?")
            && text.trim() == text
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let text = match is_plain {
            true => Cow::Borrowed(text),
            false => Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(text))),
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    add(&METHOD, method);
    if let Some(name) = name {
        add(&NAME, name);
    }
    headers
}

/// Returns the value of a header that appears at most once, decoded once.
fn single<'a>(
    headers: &'a HeaderMap,
    (name, spelled): &(HeaderName, &'static str),
) -> Result<Option<Cow<'a, str>>, UnreadableRequest> {
    let bad = UnreadableRequest::Header(spelled);
    let mut lines = headers.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(bad);
    }
    let text = line.to_str().map_err(|_| bad)?;
    let encoded = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let Some(encoded) = encoded else { return Ok(Some(Cow::Borrowed(text))) };
    let decoded = STANDARD.decode(encoded).map_err(|_| bad)?;
    String::from_utf8(decoded).map(|text| Some(Cow::Owned(text))).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    const CALL: &str = r#"{"id":1,"method":"tools/call","params":{"name":"admin"}}"#;

    fn of(lines: &[(&'static str, &str)], body: &str) -> Result<Vec<Operation>, UnreadableRequest> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Operation::of_request(&headers, body.as_bytes())
    }

    /// SEC-213
    #[test]
    fn before_2026_07_28_the_headers_say_nothing() {
        for version in [None, Some("2025-11-25"), Some("2024-11-05"), Some("")] {
            let mut lines = vec![("Mcp-Name", "harmless"), ("Mcp-Method", "ping")];
            lines.extend(version.map(|version| ("mcp-protocol-version", version)));
            assert_eq!(of(&lines, CALL), Ok(vec![Operation::tool("admin")]), "{version:?}");
        }
    }

    /// SEC-214
    #[test]
    fn from_then_on_they_say_what_the_body_says_once_and_decoded() {
        let version = ("mcp-protocol-version", "2026-07-28");
        let method = ("Mcp-Method", "tools/call");
        for name in ["admin", "=?base64?YWRtaW4=?="] {
            let lines = [version, method, ("Mcp-Name", name)];
            assert_eq!(of(&lines, CALL), Ok(vec![Operation::tool("admin")]), "{name}");
        }
        for lines in [
            vec![version, method],
            vec![version, method, ("Mcp-Name", "harmless")],
            vec![version, method, ("Mcp-Name", "admin"), ("Mcp-Name", "admin")],
            vec![version, method, ("Mcp-Name", "harmless"), ("Mcp-Name", "admin")],
            vec![version, method, ("Mcp-Name", "=?base64?aGFybWxlc3M=?=")],
            vec![version, method, ("Mcp-Name", "=?base64?YWRtaW4?=")],
            vec![version, method, ("Mcp-Name", "=?base64?/w==?=")],
            // Correct only if decoded twice.
            vec![version, method, ("Mcp-Name", "=?base64?PT9iYXNlNjQ/WVdSdGFXND0/PQ==?=")],
            vec![version, method, ("Mcp-Name", "\u{e9}")],
            vec![("mcp-protocol-version", "2027-01-01"), method, ("Mcp-Name", "harmless")],
            vec![("mcp-protocol-version", "2025-11-25"), version, method, ("Mcp-Name", "harmless")],
        ] {
            assert_eq!(of(&lines, CALL), Err(UnreadableRequest::Header("Mcp-Name")), "{lines:?}");
        }
        let name = ("Mcp-Name", "admin");
        for lines in [
            vec![version, name],
            vec![version, name, ("Mcp-Method", "ping")],
            vec![version, name, method, method],
        ] {
            assert_eq!(of(&lines, CALL), Err(UnreadableRequest::Header("Mcp-Method")), "{lines:?}");
        }
    }

    /// SEC-214
    #[test]
    fn what_is_written_is_read_whatever_the_name() {
        for name in ["admin", "", " a ", "=?base64?YWRtaW4=?=", "\u{e9}\n", "a b"] {
            let operation = Operation::tool(name);
            let mut headers = operation.to_headers();
            headers.insert("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
            let params = serde_json::json!({"name": name});
            let body = serde_json::json!({"id": 1, "method": "tools/call", "params": params});
            let read = Operation::of_request(&headers, body.to_string().as_bytes());
            assert_eq!(read, Ok(vec![operation]), "{name:?}");
        }
        assert_eq!(Operation::new("tools/list", None).to_headers().len(), 1);
    }

    #[test]
    fn what_has_no_name_needs_none_and_an_answer_needs_nothing() {
        let version = ("mcp-protocol-version", "2026-07-28");
        let list = r#"{"id":1,"method":"tools/list"}"#;
        assert!(of(&[version, ("Mcp-Method", "tools/list")], list).is_ok());
        assert!(of(&[version], r#"{"id":1,"method":"initialize"}"#).is_ok());
        assert_eq!(of(&[version], r#"{"id":1,"result":{}}"#), Ok(vec![]));
        let task = r#"{"id":1,"method":"tasks/get","params":{"taskId":"t1"}}"#;
        let method = ("Mcp-Method", "tasks/get");
        assert_eq!(
            of(&[version, method, ("Mcp-Name", "t1")], task),
            Ok(vec![Operation::new("tasks/get", None)])
        );
        assert!(of(&[version, method, ("Mcp-Name", "t2")], task).is_err());
        // One header cannot name two operations.
        let batch = format!("[{CALL},{list}]");
        assert!(
            of(&[version, ("Mcp-Method", "tools/call"), ("Mcp-Name", "admin")], &batch).is_err()
        );
    }
}
