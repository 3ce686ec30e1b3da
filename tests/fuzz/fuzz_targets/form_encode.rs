//! What is written into a form reads back, and is nothing but unreserved characters and escapes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_types::{FormPairs, FormWriter};

fuzz_target!(|pairs: Vec<(String, String)>| {
    let mut writer = FormWriter::new();
    for (name, value) in &pairs {
        writer.append(name, value);
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%&=".contains(&byte);
    assert!(writer.as_str().bytes().all(is_plain));
    if let Ok(form) = FormPairs::parse(writer.as_str().as_bytes()) {
        let read: Vec<_> =
            form.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(read, pairs);
    } else {
        let is_long = pairs.iter().any(|(name, value)| name.len().max(value.len()) * 3 > 8 * 1024);
        assert!(is_long || pairs.len() > FormPairs::MAX_PAIRS || writer.as_str().len() > 64 * 1024);
    }
});
