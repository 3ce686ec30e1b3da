//! HTTP client of flows and requests; the model of renewals scripts its answers.

use mcp_authz_http::{GuardedClient, HttpError};
use reqwest::{IntoUrl, Method, Request, RequestBuilder, Response};

/// Guarded HTTP client; in tests, a script may answer instead of the network.
#[derive(Clone)]
pub(crate) struct HttpClient {
    inner: GuardedClient,
    #[cfg(test)]
    script: Option<Script>,
}

/// Service that answers in place of the network.
#[cfg(test)]
pub(crate) type Script = std::sync::Arc<
    dyn Fn(Request) -> futures::future::BoxFuture<'static, Result<Response, HttpError>>
        + Send
        + Sync,
>;

impl HttpClient {
    pub(crate) const fn new(inner: GuardedClient) -> Self {
        Self {
            inner,
            #[cfg(test)]
            script: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn scripted(inner: GuardedClient, script: Script) -> Self {
        Self { inner, script: Some(script) }
    }

    pub(crate) fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.inner.request(method, url)
    }

    pub(crate) async fn execute(&self, request: Request) -> Result<Response, HttpError> {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script(request).await;
        }
        self.inner.execute(request).await
    }
}
