//! Redirects of metadata requests: followed on the same origin only.

use client_flow::{FlowError, FlowErrorKind};
use http::HeaderValue;
use http::header::LOCATION;
use serde_json::json;

use crate::world::*;

/// SEC-135
#[test]
fn metadata_that_moves_is_not_followed() {
    for which in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization"] {
        for status in [301, 302, 303, 307, 308] {
            for to in [
                "https://evil.example/x",
                "//evil.example/x",
                "http://rs.example/x",
                "http://as.example/x",
                "http://169.254.169.254/",
                "https://u:p@rs.example/x",
                "https://u:p@as.example/x",
            ] {
                let world = moved(which, status, Some(to));
                assert!(
                    matches!(
                        world.login(config()).as_ref().map_err(FlowError::kind),
                        Err(FlowErrorKind::Status(_))
                    ),
                    "{to}"
                );
                assert!(!world.sent().iter().any(|line| line.contains(to)), "{to}");
                assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{to}");
            }
        }
    }
}

/// A world in which URLs below this path, and `/loop`, answer with a redirect.
fn moved(path: &'static str, status: u16, to: Option<&'static str>) -> World {
    let mut world = World::new();
    world.interfere = Box::new(move |request| {
        let is_moved = request.uri().path().starts_with(path) || request.uri().path() == "/loop";
        is_moved.then(|| {
            let mut response = json_response(status, &json!({}));
            let to = to.map(|to| (LOCATION, HeaderValue::from_static(to)));
            response.headers_mut().extend(to);
            response
        })
    });
    world
}

/// SEC-135
#[test]
fn a_redirect_without_a_target_or_an_end_leads_nowhere() {
    for which in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization"] {
        for to in [None, Some("/loop"), Some("#here")] {
            let world = moved(which, 308, to);
            assert!(
                matches!(
                    world.login(config()).as_ref().map_err(FlowError::kind),
                    Err(FlowErrorKind::Status(_))
                ),
                "{to:?}"
            );
            assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{to:?}");
            assert!(world.sent().len() <= 9, "{:?}", world.sent());
        }
    }
}

/// C-DISC-12
#[test]
fn metadata_that_moved_on_its_origin_is_followed() {
    let place = "/.well-known/oauth-protected-resource/mcp";
    for status in [301, 307, 308] {
        let mut world = moved(place, status, Some("/.well-known/oauth-protected-resource"));
        world.prm_root = World::new().prm;
        let session = world.login(config()).unwrap();
        // The place that a challenge names again, wherever it leads then.
        let named = session.account().resource_metadata.clone().unwrap();
        assert_eq!(named.path(), place);
    }
}
