//! Incremental reader of a request head on the loopback port (RFC 9112 §2.1).

use crate::flow::BrowserRequest;
use crate::loopback::{CallbackListener, Heard};

/// Reader of a request to the loopback port of a login; one for each connection.
///
/// Takes the bytes of a socket in pieces of any size until the head is complete, and returns the answer. Bytes after
/// the head are ignored.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// use client_flow::{CallbackListener, CallbackRequest};
///
/// /// Answers a connection; the callback, if it brought that of this login.
/// fn answer(
///     stream: &mut (impl Read + Write),
///     login: &CallbackListener,
/// ) -> std::io::Result<Option<String>> {
///     let (mut request, mut chunk) = (CallbackRequest::default(), [0; 2048]);
///     loop {
///         let count = stream.read(&mut chunk)?;
///         match chunk.get(..count) {
///             None | Some([]) => return Ok(None),
///             Some(bytes) if request.push(bytes) => break,
///             Some(_) => {}
///         }
///     }
///     let heard = request.answer(Some(login));
///     stream.write_all(heard.reply().as_bytes())?;
///     Ok(heard.callback())
/// }
/// ```
#[derive(Clone, Default)]
pub struct CallbackRequest {
    /// The head, or its first [`BrowserRequest::MAX_HEAD`] bytes.
    head: Vec<u8>,
    /// Number of received bytes of the head.
    length: usize,
    /// Number of bytes of an empty line at the current end of the head.
    matched: u8,
}

impl CallbackRequest {
    /// Maximum number of bytes read of a head, including those that are not kept.
    ///
    /// A browser that is still writing does not read the answer.
    pub const MAX_READ: usize = 1024 * 1024;

    /// Takes the next bytes of the connection; returns `true` if no more are needed.
    ///
    /// Then write the [answer](Self::answer) and close the connection.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.is_complete() {
                break;
            }
            self.length = self.length.saturating_add(1);
            if self.head.len() < BrowserRequest::MAX_HEAD {
                self.head.push(*byte);
            }
            self.matched = match (byte, self.matched) {
                (b'\r', 0 | 2) | (b'\n', 1 | 3) => self.matched.saturating_add(1),
                (b'\r', _) => 1,
                _ => 0,
            };
        }
        self.is_complete()
    }

    /// Returns the answer to the request, while this login waits or, with `None`, while none waits.
    ///
    /// A head that is longer than [`BrowserRequest::MAX_HEAD`], or incomplete, is never a callback.
    pub fn answer(&self, login: Option<&CallbackListener>) -> Heard {
        match login {
            _ if self.length > self.head.len() => Heard::too_long(),
            // The connection ended, or the host stopped reading, before the empty line.
            _ if self.matched < 4 => Heard::not_http(),
            Some(login) => login.hear(&self.head),
            None => Heard::no_login(),
        }
    }

    const fn is_complete(&self) -> bool {
        self.matched == 4 || self.length >= Self::MAX_READ
    }
}

impl core::fmt::Debug for CallbackRequest {
    /// Omits the bytes of the request, because a callback contains a code.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CallbackRequest").field("length", &self.length).finish_non_exhaustive()
    }
}
