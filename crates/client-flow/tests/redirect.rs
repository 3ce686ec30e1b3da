//! Redirects of the MCP endpoint.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use client_flow::{EndpointMoved, Tried, endpoint_redirect};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::ResourceUri;

fn redirect(
    requested: &str,
    status: u16,
    to: Option<&str>,
    tried: Tried,
) -> Result<Option<String>, EndpointMoved> {
    let server = ResourceUri::canonical("https://rs.example/mcp").unwrap();
    let to = to.map(|to| (LOCATION, HeaderValue::from_str(to).unwrap()));
    let headers: HeaderMap = to.into_iter().collect();
    let status = StatusCode::from_u16(status).unwrap();
    let url = endpoint_redirect(&server, requested, tried, (status, &headers))?;
    Ok(url.map(|url| url.to_string()))
}

/// SEC-135
#[test]
fn the_endpoint_is_followed_to_its_own_slash_form_only() {
    for (requested, to) in [
        ("https://rs.example/mcp", "https://rs.example/mcp/"),
        ("https://rs.example/mcp", "/mcp/"),
        ("https://rs.example/mcp", "mcp/"),
        ("https://rs.example/mcp/", "/mcp"),
        ("https://rs.example/mcp?a=b", "/mcp/?a=b"),
        ("https://RS.example:443/mcp", "//rs.example/mcp/"),
    ] {
        for status in [307, 308] {
            let followed = redirect(requested, status, Some(to), Tried::default()).unwrap();
            assert!(followed.is_some_and(|url| url.ends_with(to)), "{requested} {to}");
        }
        for status in [301, 302, 303] {
            assert!(redirect(requested, status, Some(to), Tried::default()).is_err());
        }
        // Once for each request.
        let mut tried = Tried::default();
        tried.redirect = true;
        assert!(redirect(requested, 307, Some(to), tried).is_err());
    }
    // What resolves to the slash form is the slash form (RFC 3986 §5.2.4).
    let dotted = redirect("https://rs.example/mcp", 307, Some("/x/../mcp/"), Tried::default());
    assert_eq!(dotted.unwrap().as_deref(), Some("https://rs.example/mcp/"));
    for to in [
        "https://evil.example/mcp/",
        "//evil.example/mcp/",
        "http://rs.example/mcp/",
        "https://rs.example:8443/mcp/",
        "https://u:p@rs.example/mcp/",
        "https://rs.example@evil.example/mcp/",
        "/mcp",
        "/mcp//",
        "/mcp/x",
        "/other/",
        "/MCP/",
        "/mcp/?a=b",
        "/mcp/#f",
        "/x/%2e%2e/mcp/",
        "",
    ] {
        let moved = redirect("https://rs.example/mcp", 307, Some(to), Tried::default());
        assert!(moved.is_err(), "{to}");
    }
    assert!(redirect("https://rs.example/mcp", 307, None, Tried::default()).is_err());
}

#[test]
fn what_is_no_redirect_of_the_endpoint_is_judged_as_ever() {
    for status in [200, 300, 304, 401, 500] {
        let answer = redirect("https://rs.example/mcp", status, Some("/x"), Tried::default());
        assert_eq!(answer, Ok(None), "{status}");
    }
    for other in ["https://rs.example/files", "https://rs.example/mcp/x", "https://a.example/mcp"] {
        let answer = redirect(other, 307, Some("https://cdn.example/x"), Tried::default());
        assert_eq!(answer, Ok(None), "{other}");
    }
}

#[test]
fn the_error_says_where_it_leads_and_shows_no_query() {
    let told = |to: Option<&str>| {
        redirect("https://rs.example/mcp", 308, to, Tried::default()).unwrap_err().to_string()
    };
    let moved = told(Some("https://new.example/v2/mcp?token=canary#canary"));
    assert!(moved.contains("308 and leads to https://new.example/v2/mcp,"), "{moved}");
    assert!(!moved.contains("canary"), "{moved}");
    assert!(told(Some("http://rs.example/mcp/")).contains("X-Forwarded-Proto"));
    for none in [None, Some("https://user:canary@rs.example/mcp"), Some("javascript:canary")] {
        let moved = told(none);
        assert!(moved.contains("`Location`") && !moved.contains("canary"), "{moved}");
    }
}
