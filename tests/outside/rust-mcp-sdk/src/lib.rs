//! A server of rust-mcp-sdk: a middleware of that SDK lets `resource-server` decide about each request.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::Router;
use http::{Request, Response, header::AUTHORIZATION};
use mcp_authz_axum::{TokenVerifier, metadata_routes};
use oauth_types::UnixTime;
use resource_server::{Denial, OperationScopes, Resource};
use rust_mcp_sdk::auth::AuthInfo;
use rust_mcp_sdk::mcp_http::*;
use scope_stepup::NoHierarchy;

/// Middleware that admits requests whose token has the scopes of their tool.
pub struct Protect<V>(pub Resource, pub OperationScopes, pub V);

impl<V: TokenVerifier> Protect<V> {
    /// Tells the tool its user, or says what the request lacks.
    async fn admit(&self, request: &mut Request<&str>) -> Result<(), Denial> {
        let Self(resource, scopes, verifier) = self;
        let now = UnixTime::saturating_from(SystemTime::now());
        let presented = resource.present(request, scopes.base())?;
        let digest = presented.digest();
        let facts = verifier.verify(presented.token(), now).await;
        let facts = facts.map_err(|_| Denial::verifier_unavailable())?;
        if request.body().contains(['\n', '\r']) {
            return Err(Denial::unreadable_body()); // each line of it would be a message to the SDK
        }
        let required = scopes.required_for(request.headers(), request.body().as_bytes())?;
        let granted = presented.decide(facts, &required, &NoHierarchy, now)?;
        request.headers_mut().remove(AUTHORIZATION); // tools see the user, not the token
        request.extensions_mut().insert(AuthInfo {
            token_unique_id: format!("{:x?}", digest.as_bytes()),
            client_id: Some(granted.client_id().to_string()),
            user_id: Some(granted.subject().to_string()),
            scopes: Some(granted.scopes().iter().map(str::to_owned).collect()),
            expires_at: granted.expires_at().and_then(|time| time.try_into().ok()),
            audience: None,
            extra: None,
        });
        Ok(())
    }
}

#[async_trait]
impl<V: TokenVerifier> Middleware for Protect<V> {
    async fn handle<'r>(
        &self,
        mut request: Request<&'r str>,
        state: Arc<McpAppState>,
        next: MiddlewareNext<'r>,
    ) -> McpHttpResult<Response<GenericBody>> {
        if let Err(denial) = self.admit(&mut request).await {
            let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
            return Ok(denial.into_response().map(|body| GenericBody::from_string(text(&body))));
        }
        next(request, state).await
    }
}

/// Returns the routes of the server, and those of its metadata.
pub fn router(state: Arc<McpAppState>, protect: Protect<impl TokenVerifier>) -> Router {
    let metadata = metadata_routes(&protect.0);
    let handler = McpHttpHandler::new(None, vec![Arc::new(protect)], None);
    rust_mcp_axum::mcp_routes(state, &McpMountOptions::default(), handler).merge(metadata)
}
