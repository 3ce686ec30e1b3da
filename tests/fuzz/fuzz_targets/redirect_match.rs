//! A registered redirect URI admits itself and, on a loopback host over http, itself with another port.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use oauth_types::RedirectUri;

/// What stands before the port and after it; `None` when it is no http URI on a literal loopback host.
fn around_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://").filter(|_| !uri.contains('#'))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let without_port = authority.trim_end_matches(|c: char| c.is_ascii_digit());
    let host = without_port.strip_suffix(':').unwrap_or(authority);
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_literal = address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (is_literal || host.eq_ignore_ascii_case("localhost")).then_some((host, after))
}

fuzz_target!(|input: &str| {
    let Some((registered, requested)) = input.split_once('\n') else { return };
    let Ok(uri) = RedirectUri::parse(registered) else { return };
    assert!(uri.admits(registered));
    if uri.admits(requested) && registered != requested {
        let around = around_port(registered);
        assert!(around.is_some(), "{registered} is not loopback");
        assert_eq!(around, around_port(requested));
    }
});
