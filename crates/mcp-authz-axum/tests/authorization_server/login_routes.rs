//! Routes of the host's login, under the limits of the endpoints.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::{Request, StatusCode};
use mcp_authz_axum::RateLimits;
use tokio::time::advance;

use crate::rates::*;
use crate::server::*;

/// A server whose login has routes: one that answers, one that never does, and one that panics.
fn with_login_routes(change: impl FnOnce(Built) -> Built) -> Server {
    let routes = Router::new()
        .route("/login", get(async || "who are you?"))
        .route("/slow", get(core::future::pending::<()>))
        .route("/broken", get(async || -> &'static str { panic!("of the login") }))
        .fallback(async || "elsewhere");
    limited(|server| change(server).with_login_routes(routes))
}

async fn get_from(server: &Server, path: &str, from: From<'_>) -> Answer {
    let address = SocketAddr::new(from.0.parse::<IpAddr>().unwrap(), 4711);
    let request = Request::get(path).extension(ConnectInfo(address)).body(Body::empty());
    server.send(request.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn the_routes_of_a_login_are_under_the_limits_of_the_endpoints() {
    let server = with_login_routes(|server| server);
    let log_in = async |_| get_from(&server, "/login", HERE).await;
    assert_eq!(count(200, StatusCode::OK, log_in).await, 120);
    assert_eq!(get_from(&server, "/login", ELSEWHERE).await.status, StatusCode::OK);
    // The endpoints count for themselves.
    assert_eq!(register(&server, HERE).await.status, StatusCode::CREATED);
    advance(Duration::from_secs(5)).await;
    assert_eq!(count(200, StatusCode::OK, log_in).await, 10);

    let slow = get_from(&server, "/slow", ELSEWHERE).await;
    assert_eq!(slow.status, StatusCode::SERVICE_UNAVAILABLE);
    let broken = get_from(&server, "/broken", ELSEWHERE).await;
    assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!broken.html().contains("of the login"));
    assert_eq!(get_from(&server, "/nothing", ELSEWHERE).await.status, StatusCode::NOT_FOUND);

    let free = with_login_routes(|server| server.with_rate_limits(RateLimits::OFF));
    let log_in = async |_| get_from(&free, "/login", HERE).await;
    assert_eq!(count(200, StatusCode::OK, log_in).await, 200);
}
