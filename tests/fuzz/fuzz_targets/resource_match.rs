//! A resource covers itself, and nothing of another origin.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_types::ResourceUri;

/// Scheme, host and port, told by hand.
fn origin(uri: &str) -> (String, String, u16) {
    let uri = uri.to_ascii_lowercase();
    let (scheme, rest) = uri.split_once("://").unwrap();
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let without_port = authority.trim_end_matches(|c: char| c.is_ascii_digit());
    let host = without_port.strip_suffix(':').unwrap_or(authority);
    let port = authority[host.len()..].trim_start_matches(':').parse();
    let default = if scheme == "https" { 443 } else { 80 };
    (scheme.to_owned(), host.to_owned(), port.unwrap_or(default))
}

fuzz_target!(|input: &str| {
    let Some((one, other)) = input.split_once('\n') else { return };
    let (Ok(one), Ok(other)) = (ResourceUri::parse(one), ResourceUri::parse(other)) else { return };
    assert!(one.covers(&one) && other.covers(&other));
    if one.covers(&other) {
        assert_eq!(origin(one.as_str()), origin(other.as_str()));
    }
});
