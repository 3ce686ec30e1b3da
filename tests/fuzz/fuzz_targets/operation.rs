//! What a request asks for is what its body says, in a slow and obvious reading of it; headers can only refuse it.

#![no_main]

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use scope_stepup::Operation;
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    is_new: bool,
    headers: Vec<(bool, Vec<u8>)>,
    /// Names the operation in the headers as it is, so that agreement is met at once.
    agrees: bool,
    body: &'a str,
}

/// The same decision on a whole JSON value.
fn slowly(body: &Value) -> Vec<Operation> {
    let messages = body.as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
    let operation = |message: &Value| {
        let method = message.get("method")?.as_str()?.to_owned();
        let member = match &*method {
            "tools/call" | "prompts/get" => "name",
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
            _ => return Some(Operation::new(&method, None)),
        };
        let name = message.get("params").and_then(|params| params.get(member)?.as_str());
        Some(Operation::new(&method, name))
    };
    messages.iter().filter_map(operation).collect()
}

fuzz_target!(|input: Input<'_>| {
    let body = input.body.as_bytes();
    let of_body = Operation::of_body(body);
    if let (Ok(found), Ok(value)) = (&of_body, serde_json::from_slice::<Value>(body)) {
        assert_eq!(*found, slowly(&value));
    }
    let mut headers = HeaderMap::new();
    if input.is_new {
        headers.insert("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
    }
    if let (true, Ok([only])) = (input.agrees, of_body.as_deref()) {
        for (name, text) in [("mcp-method", Some(only.method())), ("mcp-name", only.name())] {
            let value = text.and_then(|text| HeaderValue::from_str(text).ok());
            headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
    }
    for (is_method, value) in &input.headers {
        let name = HeaderName::from_static(if *is_method { "mcp-method" } else { "mcp-name" });
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let of_request = Operation::of_request(&headers, body);
    if let Ok(found) = &of_request {
        assert_eq!(Ok(found), of_body.as_ref());
        if input.is_new {
            for operation in found.iter().filter(|one| one.method() != "initialize") {
                assert_eq!(headers.get_all("mcp-method").iter().count(), 1);
                if operation.name().is_some() {
                    assert_eq!(headers.get_all("mcp-name").iter().count(), 1);
                }
            }
        }
    }
    if !input.is_new {
        assert_eq!(of_request, of_body);
    }
});
