//! Denial of a tool call as a tool result with a challenge (OpenAI Apps SDK, SEP-1489).

use http::header::{ACCEPT, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use oauth_types::header::DPOP_NONCE;
use oauth_types::json_response_uncached;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::denial::{Denial, DenialReason};

/// Members of a JSON-RPC request that are needed for its response; a repeated member is an error.
#[derive(Deserialize)]
struct Call {
    id: Value,
    method: String,
}

/// Maximum length of a request identifier, in bytes, because the response repeats it.
const MAX_ID: usize = 256;

impl Denial {
    /// Turns the denial of a `tools/call` into a tool result with status 200.
    ///
    /// The result has `isError`, and the challenges in `_meta["mcp/www_authenticate"]`.
    ///
    /// ChatGPT reads the challenges there and asks its user to log in or to consent to further scopes. Clients that
    /// expect a 401 or 403 see a failed tool, so use this only for clients of your own. The denial is unchanged unless
    /// it is a 401 or 403 with a challenge and without a `DPoP-Nonce`, the body is a single `tools/call` request with
    /// an identifier, and the client accepts JSON.
    ///
    /// Source: <https://developers.openai.com/apps-sdk/build/auth>
    #[must_use]
    pub fn for_tool_call(self, request: &HeaderMap, body: &[u8]) -> Self {
        let challenges = self.challenges();
        let is_refusal = matches!(self.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        // The next proof needs the nonce of this response, and clients read it only in a 401 (RFC 9449 §9).
        let has_nonce = self.headers().contains_key(DPOP_NONCE);
        let may_answer =
            is_refusal && !has_nonce && !challenges.is_empty() && accepts_json(request);
        let Some(id) = call(body).filter(|_| may_answer) else { return self };
        let text = match self.reason() {
            DenialReason::NoToken => "Log in to use this tool.",
            DenialReason::InsufficientScope => "This tool needs further permission.",
            _ => "Log in again to use this tool.",
        };
        let result = json!({
            "content": [{"type": "text", "text": text}],
            "isError": true,
            "_meta": {"mcp/www_authenticate": challenges},
        });
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
        let response = json_response_uncached(StatusCode::OK, answer.to_string().into());
        self.with_response(response)
    }

    /// Returns the challenges, each with `error` and `error_description`.
    ///
    /// Without them ChatGPT does not ask its user.
    fn challenges(&self) -> Vec<String> {
        let lines = self.headers().get_all(WWW_AUTHENTICATE).iter();
        let texts = lines.filter_map(|line| line.to_str().ok());
        let is_silent = self.reason() == DenialReason::NoToken;
        let complete = |line: &str| match line.split_once(' ').filter(|_| is_silent) {
            Some((scheme, rest)) => format!(
                "{scheme} error=\"insufficient_scope\", error_description=\"log in to use this tool\", {rest}"
            ),
            None => line.to_owned(),
        };
        texts.map(complete).collect()
    }
}

/// Returns the identifier of a `tools/call` request.
fn call(body: &[u8]) -> Option<Value> {
    // Serde would accept an array as the members in order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let call: Call = serde_json::from_slice(body).ok().filter(|_| is_object)?;
    let is_id = match &call.id {
        Value::String(text) => text.len() <= MAX_ID,
        Value::Number(_) => true,
        _ => false,
    };
    (is_id && call.method == "tools/call").then_some(call.id)
}

/// Returns `true` if the client accepts JSON (RFC 9110 §12.5.1), as MCP requires.
fn accepts_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ACCEPT) {
        return true;
    }
    // A header line that is not text accepts nothing.
    let mut ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|range| {
            let (kind, params) = range.split_once(';').unwrap_or((range, ""));
            let is_refused = params
                .split(';')
                .any(|part| matches!(part.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            (kind.trim().to_ascii_lowercase(), is_refused)
        });
    ranges.any(|(kind, is_refused)| {
        !is_refused && matches!(&*kind, "application/json" | "application/*" | "*/*")
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use oauth_types::{Issuer, ResourceUri, ScopeSet};

    use super::*;
    use crate::resource::Resource;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"w"}}"#;

    fn denial() -> Denial {
        let issuer = Issuer::parse("https://as.example").unwrap();
        let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let resource = Resource::new(uri, vec![issuer]).unwrap();
        let request = http::Request::post("/mcp").body(()).unwrap();
        resource.present(&request, &ScopeSet::parse("w").unwrap()).unwrap_err()
    }

    fn answered(accept: &[&str], body: &str) -> (u16, Value) {
        let accept = accept.iter().map(|line| (ACCEPT, line.parse().unwrap()));
        let response = denial().for_tool_call(&accept.collect(), body.as_bytes()).into_response();
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    #[test]
    fn a_refused_call_is_a_result_with_the_challenge_and_the_id() {
        let (status, answer) = answered(&["application/json, text/event-stream"], CALL);
        assert_eq!((status, &answer["id"], &answer["jsonrpc"]), (200, &json!(7), &json!("2.0")));
        assert_eq!(answer["result"]["isError"], true);
        assert_eq!(answer["result"]["content"][0]["type"], "text");
        let challenges = answer["result"]["_meta"]["mcp/www_authenticate"].as_array().unwrap();
        let [challenge] = &challenges[..] else { panic!("{challenges:?}") };
        let challenge = challenge.as_str().unwrap();
        for part in [
            "Bearer error=\"insufficient_scope\", error_description=\"",
            "resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource/mcp\"",
            "scope=\"w\"",
        ] {
            assert!(challenge.contains(part), "{challenge}");
        }
        // The result contains a challenge that can be parsed.
        let line = [(WWW_AUTHENTICATE, challenge.parse().unwrap())].into_iter().collect();
        let read = oauth_types::Challenges::new(&line).next().unwrap().unwrap();
        assert!(read.param("error").unwrap().is_some());
    }

    #[cfg(feature = "dpop")]
    #[test]
    fn a_refusal_with_a_nonce_stays_a_401_with_it() {
        let denial = denial().with_nonce("n-1");
        let response = denial.for_tool_call(&HeaderMap::new(), CALL.as_bytes()).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["dpop-nonce"], "n-1");
    }

    #[test]
    fn everything_else_stays_the_refusal_that_it_is() {
        for body in [
            "",
            "x",
            "[]",
            r#"[7,"tools/call"]"#,
            r#"{"id":7,"method":"tools/list"}"#,
            r#"{"method":"tools/call"}"#,
            r#"{"id":null,"method":"tools/call"}"#,
            r#"{"id":{},"method":"tools/call"}"#,
            r#"{"id":7,"id":8,"method":"tools/call"}"#,
            &format!("[{CALL}]"),
            &CALL.replace('7', &format!("\"{}\"", "x".repeat(257))),
        ] {
            assert_eq!(answered(&[], body).0, 401, "{body}");
        }
        for (accept, status) in [
            (&[][..], 200),
            (&["*/*"], 200),
            (&["text/event-stream", "Application/JSON;q=0.5"], 200),
            (&["application/*"], 200),
            (&["text/event-stream"], 401),
            (&["application/json;q=0"], 401),
            (&["text/html, application/jsonx"], 401),
        ] {
            assert_eq!(answered(accept, CALL).0, status, "{accept:?}");
        }
        let no_text = HeaderValue::from_bytes(b"text/event-stream;x=\xe9").unwrap();
        let headers = [(ACCEPT, no_text)].into_iter().collect();
        let response = denial().for_tool_call(&headers, CALL.as_bytes()).into_response();
        assert_eq!(response.status(), 401, "a line that is no text accepts nothing");
        // A denial without a challenge is unchanged.
        let plain = Denial::foreign_session().for_tool_call(&HeaderMap::new(), CALL.as_bytes());
        assert_eq!(plain.into_response().status(), 404);
    }
}
