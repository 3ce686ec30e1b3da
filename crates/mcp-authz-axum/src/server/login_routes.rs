//! Routes of the host's login, with rate limit, deadline and panic handler.

use std::sync::Arc;

use authorization_server::{Refusal, Store};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http::Response;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;

use super::Server;
use crate::login::Login;
use crate::reply::{page_panicked, refused};

impl<S: Store + 'static, L: Login> Server<S, L> {
    /// Adds rate limit, deadline and panic handler to the routes of the login.
    pub(super) fn limit(self: &Arc<Self>, routes: Router) -> Router {
        let server = Arc::clone(self);
        let limits = from_fn(move |request, next| {
            let server = Arc::clone(&server);
            async move { server.let_in(request, next).await }
        });
        routes.layer(limits).layer(CatchPanicLayer::custom(page_panicked))
    }

    async fn let_in(&self, request: Request, next: Next) -> Response<Body> {
        if let Err(wait) = self.rates.login(&request) {
            return refused(Refusal::too_many(wait));
        }
        let answer = timeout(self.deadlines.answer, next.run(request)).await;
        answer.unwrap_or_else(|_| refused(Refusal::late()))
    }
}
