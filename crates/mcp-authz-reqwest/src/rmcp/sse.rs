//! Server-sent events of a response, with a size limit for each.

use std::io;

use futures::stream::{BoxStream, StreamExt as _, try_unfold};
use oauth_types::SentSecrets;
use reqwest::Response;
use rmcp::model::JsonRpcMessage;
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};

use super::answer::{sent, without};

/// Parses the events of a response.
///
/// The stream fails at the first event whose raw text exceeds `limit` bytes ([`is_too_large`]).
pub(crate) fn events(
    response: Response,
    limit: usize,
) -> BoxStream<'static, Result<Sse, SseError>> {
    let sent = sent(&response);
    let start = (response, EventMeter { limit, ..EventMeter::default() });
    let bytes = try_unfold(start, async |(mut response, mut meter)| {
        match response.chunk().await.map_err(|error| io::Error::other(error.without_url()))? {
            Some(chunk) if meter.fits(&chunk) => Ok(Some((chunk, (response, meter)))),
            Some(_) => Err(io::Error::new(io::ErrorKind::FileTooLarge, "SSE event too large")),
            None => Ok(None),
        }
    });
    let events = SseStream::from_bytes_stream(bytes);
    events.map(move |event| event.map(|event| without_secrets(event, &sent))).boxed()
}

/// Removes the secrets of the request from a JSON-RPC error in an event.
fn without_secrets(mut event: Sse, sent: &SentSecrets) -> Sse {
    // A member name may be written with escapes.
    let may_be_error = |data: &&str| data.contains("\"error\"") || data.contains("\\u");
    let message = event.data.as_deref().filter(may_be_error);
    let message = message.and_then(|data| serde_json::from_str(data).ok());
    if let Some(message @ JsonRpcMessage::Error(_)) = message
        && let Ok(struck) = serde_json::to_string(&without(message, sent))
    {
        event.data = Some(struck);
    }
    event
}

/// Returns `true` if `error` reports an event beyond the limit of [`events`].
pub(crate) fn is_too_large(error: &SseError) -> bool {
    matches!(error, SseError::Body(inner) if inner
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::FileTooLarge))
}

/// Counts the bytes that the SSE parser has to hold for the current event.
#[derive(Debug, Default)]
struct EventMeter {
    limit: usize,
    /// Bytes of the event's finished lines, without comments.
    held: usize,
    /// Bytes of the unfinished line.
    line: usize,
    in_comment: bool,
    after_cr: bool,
}

impl EventMeter {
    /// Counts a chunk; returns `false` once an event exceeds the limit.
    fn fits(&mut self, chunk: &[u8]) -> bool {
        chunk.iter().all(|&byte| {
            self.count(byte);
            self.held.saturating_add(self.line) <= self.limit
        })
    }

    fn count(&mut self, byte: u8) {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => {} // the line ended at CR
            b'\r' | b'\n' => {
                if self.line == 0 {
                    self.held = 0; // an empty line ends the event
                } else if !self.in_comment {
                    self.held = self.held.saturating_add(self.line).saturating_add(1);
                }
                self.line = 0;
            }
            _ => {
                if self.line == 0 {
                    self.in_comment = byte == b':';
                }
                self.line = self.line.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EventMeter;

    fn fits(limit: usize, chunks: &[&str]) -> bool {
        let mut meter = EventMeter { limit, ..EventMeter::default() };
        chunks.iter().all(|chunk| meter.fits(chunk.as_bytes()))
    }

    #[test]
    fn counts_one_event_at_a_time() {
        assert!(fits(8, &["data: a\n\n", "data: b\r\n\r\n", "data: c\r\rdata: d\n"]));
        assert!(fits(8, &["data", ": a", "\n", "\n", "data: b\n"]));
        assert!(!fits(8, &["data: a\ndata: b\n\n"]));
        assert!(!fits(8, &["data: abc"]));
        assert!(!fits(8, &["data: a\r", "\ndata: b"]));
    }

    #[test]
    fn finished_comments_take_no_room() {
        assert!(fits(8, &[":ping\n", ":ping\n", ":ping\n", "data: a\n"]));
        assert!(!fits(8, &[":ping ping"]));
    }
}
