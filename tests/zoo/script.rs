//! Common parts of the files: known members, and names that stand for values.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values by the names that stand for them in a file.
pub(crate) type Values = BTreeMap<String, String>;

/// Reason of a failed case.
pub(crate) type Failed = String;

/// Fails for an unknown member, so that no part of a file is ignored.
pub(crate) fn known(value: &Value, what: &str, members: &[&str]) -> Result<(), Failed> {
    let Some(object) = value.as_object() else { return Err(format!("{what} is no object")) };
    match object.keys().find(|name| !members.contains(&name.as_str())) {
        Some(name) => Err(format!("{what} has the unknown member `{name}`")),
        None => Ok(()),
    }
}

/// A text member, or nothing.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str()
}

/// The texts of a list; a missing list is empty.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Header lines, written as `[["name", "value"], ...]`.
pub(crate) fn headers(value: &Value) -> Vec<(String, String)> {
    let lines = value["headers"].as_array().into_iter().flatten();
    lines.filter_map(|line| Some((line[0].as_str()?.into(), line[1].as_str()?.into()))).collect()
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Replaces each `{name}` by its value; a name without a value is the error.
pub(crate) fn fill(text: &str, values: &Values, encoded: bool) -> Result<String, Failed> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else {
            filled.push('{');
            rest = after;
            continue;
        };
        let value = values.get(name).ok_or(format!("no earlier answer says `{name}`"))?;
        // Origins stand as they are, as people write them.
        let is_origin = name == "rs" || name == "as";
        filled.push_str(&if encoded && !is_origin { encode(value) } else { value.clone() });
        rest = &after[name.len() + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
