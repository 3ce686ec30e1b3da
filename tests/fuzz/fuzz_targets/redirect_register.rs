//! What may be registered is https, http on a loopback host, or a private scheme with a dot; without fragment,
//! userinfo or a parameter of the response.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use oauth_types::{FormPairs, RedirectUri};

fuzz_target!(|input: &str| {
    let Ok(uri) = RedirectUri::parse(input) else { return };
    assert_eq!(uri.as_str(), input);
    assert!(input.bytes().all(|byte| byte.is_ascii_graphic()) && !input.contains('#'));
    let (scheme, rest) = input.split_once(':').unwrap();
    let authority = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        &rest[..end]
    });
    assert!(!authority.is_some_and(|authority| authority.contains('@')));
    match scheme {
        "https" => assert!(authority.is_some_and(|authority| !authority.is_empty())),
        "http" => {
            let host = authority.unwrap().trim_end_matches(|c: char| c.is_ascii_digit());
            let host = host.strip_suffix(':').unwrap_or(authority.unwrap());
            let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let literal = address.unwrap_or(host).parse::<IpAddr>();
            let is_loopback = literal.is_ok_and(|address| address.is_loopback());
            assert!(is_loopback || host.eq_ignore_ascii_case("localhost"), "{input}");
        }
        private => assert!(private.contains('.'), "{input}"),
    }
    let query = input.split_once('?').map_or("", |(_, query)| query);
    let form = FormPairs::parse(query.as_bytes()).unwrap();
    assert!(["iss", "code", "state", "error"].iter().all(|name| !form.contains(name)));
});
