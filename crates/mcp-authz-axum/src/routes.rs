//! Routes for exact paths of the configuration, because the path of an issuer or resource is never a routing pattern.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::MethodRouter;
use http::StatusCode;

/// Adds a route for exactly this path, whatever characters it contains.
///
/// axum panics for segments that begin with `:` or `*`, which were patterns before its version 0.8, and panics again
/// when the router is merged into one that was built without
/// [`without_v07_checks`](axum::Router::without_v07_checks). Such a segment is therefore routed as a capture, and the
/// path is compared with the expected one.
pub(crate) fn route_exactly<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    path: &str,
    handler: MethodRouter<S>,
) -> Router<S> {
    let escaped = path.replace('{', "{{").replace('}', "}}");
    if !escaped.split('/').any(is_old_pattern) {
        return router.route(&escaped, handler);
    }
    let segments = escaped.split('/').enumerate().map(|(at, segment)| {
        if is_old_pattern(segment) { format!("{{exact{at}}}") } else { segment.to_owned() }
    });
    let pattern = segments.collect::<Vec<_>>().join("/");
    let own: Box<str> = path.into();
    let compare = from_fn(move |request: Request, next: Next| {
        let is_own = request.uri().path() == &*own;
        async move {
            if is_own { next.run(request).await } else { StatusCode::NOT_FOUND.into_response() }
        }
    });
    router.route(&pattern, handler.layer(compare))
}

fn is_old_pattern(segment: &str) -> bool {
    segment.starts_with([':', '*'])
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::any;
    use tower::ServiceExt as _;

    use super::*;

    /// SEC-236
    #[tokio::test]
    async fn a_path_is_a_text_and_no_pattern() {
        let paths = [
            "/",
            "/a",
            "/:a",
            "/:a/token",
            "/*",
            "/*all",
            "/x/*y/:z",
            "/{a}",
            "/x{*b}",
            "/{{c}}",
            "/%7Bd%7D",
            "/a:b",
            "/a*",
            "//",
            "/%",
            "/:%2F",
        ];
        for path in paths {
            let router = route_exactly(Router::new(), path, any(async || "own"));
            // A host's router has axum's checks on, and a route of its own with a capture.
            let router = Router::new().route("/host/{x}", any(async || "host")).merge(router);
            for asked in paths {
                // Braces are no characters of a URI, and stand in no request that hyper takes.
                let Ok(request) = Request::get(asked).body(Body::empty()) else { continue };
                let status = router.clone().oneshot(request).await.unwrap().status();
                assert_eq!(status.is_success(), asked == path, "{asked} at {path}");
            }
        }
    }
}
