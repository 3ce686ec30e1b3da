//! A form is decoded as a slow reference decodes it, and a repeated parameter is always reported.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_types::FormPairs;

/// Decodes one name or value byte by byte; `None` when it is malformed.
fn reference(component: &[u8]) -> Option<String> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(&byte) = component.get(at) {
        at += 1;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = str::from_utf8(component.get(at..at + 2)?).ok()?;
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                at += 2;
                u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn pairs(form: &[u8]) -> Option<Vec<(String, String)>> {
    let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let decode = |pair: &[u8]| {
        let at = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
        Some((reference(name)?, reference(value.strip_prefix(b"=").unwrap_or(value))?))
    };
    pairs.map(decode).collect()
}

fuzz_target!(|input: &[u8]| {
    let expected = pairs(input);
    let read = match FormPairs::parse(input) {
        Ok(form) => form,
        Err(_) => {
            let is_long = input.len() > FormPairs::MAX_VALUE_BYTES;
            let is_much =
                input.iter().filter(|byte| **byte == b'&').count() >= FormPairs::MAX_PAIRS;
            assert!(expected.is_none() || is_long || is_much);
            return;
        }
    };
    let expected = expected.expect("what is read is well formed");
    let own: Vec<_> =
        read.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(own, expected);
    for name in ["code", "state", "iss", "a", ""] {
        let count = expected.iter().filter(|(own, _)| own == name).count();
        assert_eq!(read.single(name).is_err(), count > 1);
        assert_eq!(read.contains(name), count > 0);
    }
});
