//! Transport for rmcp: streamable HTTP over an [`AuthorizedClient`].
//!
//! The client handles tokens and challenges, so rmcp sees none of them. A failure of the client is returned by rmcp as
//! an [`Error`], which [`find_error`] finds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{BoxStream, StreamExt as _};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use oauth_types::header::{LAST_EVENT_ID, MCP_SESSION_ID};
use reqwest::{Request, Response, Url};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpPostResponse as Reply,
};
use sse_stream::Sse;

use crate::client::AuthorizedClient;
use crate::error::Error;

mod answer;
mod sse;

use answer::{EVENT_STREAM, Failure, JSON};

type Headers = HashMap<HeaderName, HeaderValue>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// Limit of rmcp itself, for methods without a limit of their own.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// HTTP backend for rmcp's `StreamableHttpClientTransport::with_client`.
///
/// It is bound to the origin of its client's server, because each request carries the token for that server. rmcp's own
/// `auth_header` is ignored for the same reason.
///
/// # Examples
///
/// ```
/// use mcp_authz_reqwest::{AuthorizedClient, McpTransport};
/// use rmcp::transport::StreamableHttpClientTransport;
/// use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
///
/// fn transport(client: AuthorizedClient) -> StreamableHttpClientTransport<McpTransport> {
///     let config = StreamableHttpClientTransportConfig::with_uri(client.server_url());
///     StreamableHttpClientTransport::with_client(McpTransport::new(client), config)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct McpTransport {
    client: AuthorizedClient,
    /// ID after which the latest stream with an oversized event would resume.
    oversized_after: Arc<Mutex<Option<String>>>,
}

impl McpTransport {
    /// Creates a transport that sends its requests through `client`.
    #[must_use]
    pub fn new(client: AuthorizedClient) -> Self {
        Self { client, oversized_after: Arc::default() }
    }

    /// Creates a request with the headers that all methods share.
    ///
    /// `extra` comes from rmcp: `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name` and the application's headers.
    fn request(
        &self,
        method: Method,
        uri: &str,
        session: Option<&str>,
        extra: Headers,
    ) -> Result<Request, Failure> {
        let url = Url::parse(uri).map_err(|_| Failure::Client(Error::ForeignOrigin))?;
        let mut request = Request::new(method, url);
        let headers = request.headers_mut();
        for (name, value) in extra {
            if [ACCEPT, AUTHORIZATION, MCP_SESSION_ID, LAST_EVENT_ID].contains(&name) {
                return Err(Failure::ReservedHeaderConflict(name.to_string()));
            }
            headers.insert(name, value);
        }
        if let Some(session) = session {
            headers.insert(MCP_SESSION_ID, header_value(session)?);
        }
        Ok(request)
    }

    async fn execute(&self, request: Request) -> Result<Response, Failure> {
        self.client.execute(request).await.map_err(Failure::Client)
    }

    /// Records the position at which a stream exceeded the size limit.
    ///
    /// rmcp resumes a stream after every error except its private "too large", so `get_stream` refuses to resume there;
    /// the same event would come again without end.
    fn watched(&self, events: Events, mut last_id: Option<String>) -> Events {
        let transport = self.clone();
        let watch = move |event: &Result<Sse, SseError>| match event {
            Ok(Sse { id: Some(id), .. }) => last_id = Some(id.clone()),
            Err(error) if sse::is_too_large(error) => *transport.oversized() = last_id.take(),
            _ => {}
        };
        events.inspect(watch).boxed()
    }

    fn oversized(&self) -> MutexGuard<'_, Option<String>> {
        self.oversized_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamableHttpClient for McpTransport {
    type Error = Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        extra: Headers,
    ) -> Result<Reply, Failure> {
        self.post_message_with_max_sse_event_size(uri, message, session, None, extra, MAX_EVENT)
            .await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        extra: Headers,
        max_event: usize,
    ) -> Result<Reply, Failure> {
        let mut request = self.request(Method::POST, &uri, session.as_deref(), extra)?;
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(ACCEPT, accept);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        *request.body_mut() = Some(serde_json::to_vec(&message)?.into());
        let response = self.execute(request).await?;
        match answer::to_post(response, &message, session.as_deref(), max_event).await? {
            Reply::Sse(events, session) => Ok(Reply::Sse(self.watched(events, None), session)),
            reply => Ok(reply),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_id: Option<String>,
        _: Option<String>,
        extra: Headers,
    ) -> Result<Events, Failure> {
        self.get_stream_with_max_sse_event_size(uri, session, last_id, None, extra, MAX_EVENT).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_id: Option<String>,
        _: Option<String>,
        extra: Headers,
        max_event: usize,
    ) -> Result<Events, Failure> {
        if last_id.is_some() && *self.oversized() == last_id {
            return Err(Failure::ServerDoesNotSupportSse); // makes rmcp give up
        }
        let mut request = self.request(Method::GET, &uri, session.as_deref(), extra)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        if let Some(id) = &last_id {
            request.headers_mut().insert(LAST_EVENT_ID, header_value(id)?);
        }
        let response = match self.execute(request).await {
            // rmcp repeats a failed GET, unless the failure is that authorization is required. Only a broken
            // exchange is worth repeating, so every other error is reported as that failure.
            Err(Failure::Client(error))
                if !matches!(error, Error::Transport(_) | Error::NoResponse { .. }) =>
            {
                return Err(Failure::AuthRequired(AuthRequiredError::new(error.to_string())));
            }
            result => result?,
        };
        match (response.status(), answer::media_type(&response).as_deref()) {
            (StatusCode::METHOD_NOT_ALLOWED, _) => Err(Failure::ServerDoesNotSupportSse),
            (status, _) if !status.is_success() => Err(answer::status_error(&response)),
            (_, Some(EVENT_STREAM)) => Ok(self.watched(sse::events(response, max_event), last_id)),
            (_, other) => Err(answer::unexpected_type(other, &answer::sent(&response))),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _: Option<String>,
        extra: Headers,
    ) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, &uri, Some(&session), extra)?;
        let response = self.execute(request).await?;
        match response.status() {
            // A server may refuse to let clients end sessions.
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(answer::status_error(&response)),
        }
    }
}

fn header_value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Failure::UnexpectedServerResponse("an id unfit for a header".into()))
}

/// Finds this crate's [`Error`] in an error of rmcp, or in any error's sources.
///
/// rmcp does not return all its inner errors as sources, so `source()` alone would miss some.
#[must_use]
pub fn find_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return Some(ours);
    }
    if let Some(Failure::Client(ours)) = error.downcast_ref() {
        return Some(ours);
    }
    if let Some(ServiceError::TransportSend(inner)) = error.downcast_ref() {
        return find_error(inner);
    }
    match error.downcast_ref() {
        Some(ClientInitializeError::TransportError { error, .. }) => find_error(error),
        Some(ClientInitializeError::LegacyFallbackFailed { fallback, .. }) => find_error(fallback),
        _ => error.source().and_then(find_error),
    }
}
