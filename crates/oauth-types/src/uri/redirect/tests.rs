//! Redirect URIs: accepted and refused texts, and the requested URIs that each one admits.

use super::*;

fn admits(registered: &str, requested: &str) -> bool {
    RedirectUri::parse(registered).unwrap().admits(requested)
}

/// A-REG-1, SEC-057, SEC-058, SEC-051
#[test]
fn what_may_be_registered() {
    for good in [
        "https://app.example/cb",
        "https://app.example/cb?a=b%20c&blank=",
        "http://127.0.0.1/cb",
        "http://[::1]:8080/cb",
        "http://localhost/cb",
        "com.example.app:/cb",
    ] {
        assert!(RedirectUri::parse(good).is_ok(), "{good}");
    }
    for (bad, rule) in [
        ("javascript:alert(1)", InvalidUri::Scheme),
        ("data:text/html,x", InvalidUri::Scheme),
        ("vbscript:x", InvalidUri::Scheme),
        ("file:///etc/passwd", InvalidUri::Scheme),
        ("blob:x", InvalidUri::Scheme),
        ("about:blank", InvalidUri::Scheme),
        (" javascript:alert(1)", InvalidUri::Syntax),
        ("java%0ascript:alert(1)", InvalidUri::Syntax),
        ("http://app.example/cb", InvalidUri::PlainHttp),
        ("https://app.example/cb#", InvalidUri::Fragment),
        ("https://u:p@app.example/cb", InvalidUri::Userinfo),
        ("https:///cb", InvalidUri::NoHost),
    ] {
        assert_eq!(RedirectUri::parse(bad), Err(rule), "{bad}");
    }
}

/// A-REG-1, SEC-057
#[test]
fn an_application_owns_no_scheme_of_browsers_and_systems() {
    for good in ["cursor://anysphere.cursor-mcp/oauth/callback", "vscode://ms.ext/cb", "zed:/cb"] {
        assert!(RedirectUri::parse_any_scheme(good).unwrap().is_private_use(), "{good}");
        assert_eq!(RedirectUri::parse(good), Err(InvalidUri::Scheme), "{good}");
        // A stored redirect URI is read again.
        let stored: RedirectUri = serde_json::from_value(good.into()).unwrap();
        assert_eq!(stored.as_str(), good);
    }
    for scheme in NEVER_PRIVATE_USE {
        let upper = scheme.to_ascii_uppercase();
        for bad in [scheme, &*upper, "ms-msdt", "search-ms", "Cursor", "1x", ""] {
            assert!(!RedirectUri::is_private_use_scheme(bad), "{bad}");
            assert!(RedirectUri::parse_any_scheme(&format!("{bad}:x")).is_err(), "{bad}");
        }
    }
    for (bad, rule) in [
        ("cursor://u@host/cb", InvalidUri::Userinfo),
        ("cursor://host/cb#f", InvalidUri::Fragment),
        ("cursor://host/cb?code=x", InvalidUri::ReservedParameter),
        ("http://app.example/cb", InvalidUri::PlainHttp),
        ("javascript://app.example/%0aalert(1)", InvalidUri::Scheme),
        ("wss://app.example/cb", InvalidUri::Scheme),
    ] {
        assert_eq!(RedirectUri::parse_any_scheme(bad), Err(rule), "{bad}");
    }
}

/// SEC-015
#[test]
fn reserved_parameters_are_refused_in_any_spelling() {
    for name in ["iss", "code", "state", "error", "error_description", "error_uri", "%69ss"] {
        let uri = format!("https://app.example/cb?x=1&{name}=y");
        assert_eq!(RedirectUri::parse(&uri), Err(InvalidUri::ReservedParameter), "{name}");
    }
}

/// A-AUTHZ-2, SEC-052, SEC-053, SEC-054
#[test]
fn the_port_of_a_loopback_redirect_is_free() {
    assert!(admits("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"));
    assert!(admits("http://[::1]/cb", "http://[::1]:51004/cb"));
    assert!(admits("http://localhost:3118/cb", "http://localhost:53428/cb"));
    assert!(!admits("http://[::1]/cb", "http://[0:0:0:0:0:0:0:1]:1/cb"));
    for host in ["LOCALHOST", "localhost.", "localhost.evil.test"] {
        assert!(!admits("http://localhost/cb", &format!("http://{host}:1/cb")), "{host}");
    }
}

/// A-AUTHZ-2, SEC-046, SEC-047, SEC-048, SEC-049, SEC-050
#[test]
fn all_else_is_string_equality() {
    let registered = "https://app.example/cb";
    assert!(admits(registered, registered));
    for requested in [
        "https://app.example/cb2",
        "https://app.example/cb/",
        "https://app.example/c",
        "https://app.example/CB",
        "https://APP.example/cb",
        "https://app.example:443/cb",
        "https://app.example/cb?x=1",
        "https://app.example/x/../cb",
        "https://app.example/cb/%2e%2e/cb",
        "https://app.example//cb",
        "https://app.example@evil.example/cb",
        "https://evil.example\\@app.example/cb",
        "https://app.example.evil.example/cb",
        "https://app.example/cb#",
        "https%3A%2F%2Fapp.example%2Fcb",
    ] {
        assert!(!admits(registered, requested), "{requested}");
    }
}

/// SEC-059
#[test]
fn a_wildcard_is_a_character_and_never_a_pattern() {
    let registered = "https://*.app.example/cb?x=.*";
    assert!(admits(registered, registered));
    for requested in [
        "https://evil.app.example/cb?x=.*",
        "https://*.app.example/cb?x=evil",
        "https://.app.example/cb?x=.*",
        "https://app.example/cb",
    ] {
        assert!(!admits(registered, requested), "{requested}");
    }
    assert_eq!(RedirectUri::parse("https://[*]/cb"), Err(InvalidUri::Syntax));
}

/// SEC-066
#[test]
fn hosts_are_ascii_and_labels_are_never_decoded() {
    let cyrillic = "https://\u{430}pp.example/cb";
    assert_eq!(RedirectUri::parse(cyrillic), Err(InvalidUri::Syntax));
    assert!(!admits("https://app.example/cb", cyrillic));
    // A label that a lenient decoder turns into `app`, and its Cyrillic look-alike.
    for look_alike in ["https://xn--app-.example/cb", "https://xn--pp-6kc.example/cb"] {
        assert!(!admits("https://app.example/cb", look_alike), "{look_alike}");
    }
    let shown = RedirectUri::parse("https://xn--pp-6kc.example/cb").unwrap();
    assert_eq!(shown.display_host(), "xn--pp-6kc.example");
    assert!(RedirectUri::parse("https://%D0%B0pp.example/cb").is_err());
    let private = RedirectUri::parse("com.evil.app://accounts.example/cb").unwrap();
    assert_eq!(private.display_host(), "com.evil.app");
}

/// SEC-055, SEC-056
#[test]
fn only_the_port_floats() {
    let registered = "http://127.0.0.1/cb";
    for requested in [
        "http://localhost/cb",
        "http://127.0.0.2/cb",
        "http://127.1/cb",
        "http://0x7f000001/cb",
        "http://127.000.000.001/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://u:p@127.0.0.1/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:1/other",
        "http://127.0.0.1:1/cb?x=1",
        "http://127.0.0.1:1/cb#f",
        "https://127.0.0.1:1/cb",
        "http://127.0.0.1:99999/cb",
        "HTTP://127.0.0.1:1/cb",
    ] {
        assert!(!admits(registered, requested), "{requested}");
    }
}
