//! The head of one request, as it comes in (RFC 9112 §2.1).

use crate::flow::Visit;
use crate::loopback::{CallbackListener, Heard};

/// Reader of a request to the loopback port of a login, one for each connection.
///
/// It takes what a socket brings, in whatever pieces, until the head is complete, and says what to answer. What follows
/// the head is not looked at.
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
    /// The head, or its first [`Visit::MAX_HEAD`] bytes.
    head: Vec<u8>,
    /// Bytes of the head that have come.
    length: usize,
    /// Bytes of an empty line that the head ends with now.
    matched: u8,
}

impl CallbackRequest {
    /// Most bytes of a head that are read, the ones that are not kept included: a browser that still writes does not see
    /// the answer.
    pub const MAX_READ: usize = 1024 * 1024;

    /// Takes the next bytes of the connection. Returns `true` if there is nothing more to read: write the
    /// [answer](Self::answer), then close the connection.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.is_complete() {
                break;
            }
            self.length = self.length.saturating_add(1);
            if self.head.len() < Visit::MAX_HEAD {
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

    /// Returns the answer to the request while this login waits, or none. A head that is longer than
    /// [`Visit::MAX_HEAD`], or not complete, is no callback.
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
    /// Shows no byte of the request, because a callback has a code in it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CallbackRequest").field("length", &self.length).finish_non_exhaustive()
    }
}
