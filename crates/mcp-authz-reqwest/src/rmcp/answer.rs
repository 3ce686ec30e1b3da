//! Translation of the server's responses for rmcp.

use std::borrow::Cow;

use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use oauth_types::SentSecrets;
use oauth_types::header::MCP_SESSION_ID;
use reqwest::Response;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{
    HttpStatusError, StreamableHttpError, StreamableHttpPostResponse as Reply,
};
use tokio::time::timeout;

use super::sse;
use crate::client::{AuthorizedClient, Pause};
use crate::error::Error;

/// Error of rmcp that holds an error of this crate.
pub(crate) type Failure = StreamableHttpError<Error>;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// Maximum size of a JSON body, as in rmcp's own clients.
const MAX_JSON: usize = 16 * 1024 * 1024;
/// Maximum size of the body of an error response.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Reads the response to a POST of `message` in the session `in_session`.
pub(crate) async fn to_post(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: Option<&str>,
    max_event: usize,
) -> Result<Reply, Failure> {
    match response.status() {
        StatusCode::ACCEPTED | StatusCode::NO_CONTENT => return Ok(Reply::Accepted),
        StatusCode::NOT_FOUND if in_session.is_some() => return Err(Failure::SessionExpired),
        status if !status.is_success() => return refusal(response, message, in_session).await,
        _ => {}
    }
    // Some servers answer 200 where the message calls for 202.
    let wants_answer = matches!(message, JsonRpcMessage::Request(_));
    if !wants_answer && response.content_length() == Some(0) {
        return Ok(Reply::Accepted);
    }
    let session = session_id(&response);
    let sent = sent(&response);
    match media_type(&response).as_deref() {
        Some(EVENT_STREAM) => Ok(Reply::Sse(sse::events(response, max_event), session)),
        Some(JSON) => {
            let body = read(response, MAX_JSON).await?;
            match serde_json::from_slice(&body) {
                Ok(message) => Ok(Reply::Json(without(message, &sent), session)),
                Err(_) if !wants_answer => Ok(Reply::Accepted),
                Err(error) => {
                    Err(unexpected(&format!("no JSON-RPC message ({error})"), &body, &sent))
                }
            }
        }
        other => Err(unexpected_type(other, &sent)),
    }
}

/// Reads the response to a POST that is neither a success nor an expired session.
async fn refusal(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: Option<&str>,
) -> Result<Reply, Failure> {
    let status = response.status();
    let is_json = media_type(&response).as_deref() == Some(JSON);
    let bare = status_error(&response);
    if status == StatusCode::TOO_MANY_REQUESTS || (status.is_server_error() && !is_json) {
        return Err(bare);
    }
    let (session, sent) = (session_id(&response), sent(&response));
    let body = match read(response, MAX_ERROR_BODY).await {
        Ok(body) => body,
        Err(_) if status.is_server_error() => return Err(bare),
        Err(error) => return Err(error),
    };
    let error = match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
        Ok(message @ JsonRpcMessage::Error(_)) => match without(message, &sent) {
            JsonRpcMessage::Error(error) => Some(error),
            _ => None,
        },
        _ => None,
    };
    // These statuses belong to authorization, so a JSON-RPC body in them is not passed on.
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(unexpected(&format!("HTTP {status}"), &body, &sent));
    }
    // An older server, or a proxy, does not know `server/discover`. rmcp falls back to `initialize` if the error
    // carries the ID of its request.
    if let JsonRpcMessage::Request(request) = message
        && matches!(request.request, ClientRequest::DiscoverRequest(_))
        && status.is_client_error()
        && in_session.is_none()
    {
        let error = error.map_or_else(
            || ErrorData::invalid_request(format!("server/discover: HTTP {status}"), None),
            |error| error.error,
        );
        let message = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
        return Ok(Reply::Json(message, None));
    }
    match error {
        Some(error) if is_json => Ok(Reply::Json(JsonRpcMessage::Error(error), session)),
        _ if status.is_server_error() => Err(bare),
        _ => Err(unexpected(&format!("HTTP {status}"), &body, &sent)),
    }
}

/// Returns the failure for a status whose body is not read.
pub(crate) fn status_error(response: &Response) -> Failure {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(|text| sent(response).strike_out(text).into_owned());
    HttpStatusError::new(response.status().as_u16(), retry_after).into()
}

/// Returns the media type in lower case, without parameters.
pub(crate) fn media_type(response: &Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

fn session_id(response: &Response) -> Option<String> {
    Some(response.headers().get(MCP_SESSION_ID)?.to_str().ok()?.to_owned())
}

/// Returns the secrets of the request that was answered.
pub(crate) fn sent(response: &Response) -> SentSecrets {
    response.extensions().get().cloned().unwrap_or_default()
}

/// Returns the failure for an unexpected media type, quoted without secrets.
pub(crate) fn unexpected_type(media_type: Option<&str>, sent: &SentSecrets) -> Failure {
    let media_type = media_type.map(|text| sent.strike_out(text).into_owned());
    Failure::UnexpectedContentType(media_type)
}

/// Returns a failure that quotes the start of `body`.
///
/// Secrets and control characters are removed from it.
fn unexpected(what: &str, body: &[u8], sent: &SentSecrets) -> Failure {
    // More is taken than is quoted, so that a secret at the end is found as a whole.
    let start: String = String::from_utf8_lossy(body).chars().take(1024).collect();
    let start: String = sent.strike_out(&start).chars().take(256).collect();
    let what = sent.strike_out(what);
    Failure::UnexpectedServerResponse(format!("{what}: {}", start.escape_debug()).into())
}

/// Removes the secrets of the request from a JSON-RPC error (SEC-247).
///
/// rmcp turns such an error into one of its own, which may be logged. Any other message is returned unchanged.
pub(crate) fn without(message: ServerJsonRpcMessage, sent: &SentSecrets) -> ServerJsonRpcMessage {
    let JsonRpcMessage::Error(mut own) = message else { return message };
    let error = &mut own.error;
    if let Cow::Owned(struck) = sent.strike_out(&error.message) {
        error.message = struck.into();
    }
    if let Some(data) = &mut error.data {
        sent.strike_out_json(data);
    }
    if let Some(RequestId::String(id)) = &mut own.id
        && let Cow::Owned(struck) = sent.strike_out(id)
    {
        *id = struck.into();
    }
    JsonRpcMessage::Error(own)
}

/// Reads a body of at most `limit` bytes.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let pause = response.extensions().get().copied();
    let Pause(pause) = pause.unwrap_or(Pause(AuthorizedClient::RESPONSE_DEADLINE));
    let mut body = Vec::new();
    loop {
        let chunk = timeout(pause, response.chunk()).await;
        let chunk = chunk.map_err(|_| Failure::Client(Error::NoResponse { within: pause }))?;
        let chunk = chunk.map_err(|error| Failure::Client(Error::of_http(error.into())))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if chunk.len() > limit.saturating_sub(body.len()) {
            return Err(Failure::ResponseBodyTooLarge { max_size: limit });
        }
        body.extend_from_slice(&chunk);
    }
}
