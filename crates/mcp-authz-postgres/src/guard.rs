//! Limits on what the database server may send, below the driver.
//!
//! The driver buffers whatever the server sends until a message is complete. For every type that it does not know, it
//! asks another question inside the previous one. Without limits, a broken or hostile server could fill the memory and
//! the stack of this process.

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::pin::Pin;
use core::task::{Context, Poll, ready as poll_ready};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

/// Most bytes that the server may send until it is sent something again.
///
/// Every row of this crate is smaller.
const BYTES: usize = 16 << 20;
/// Most statements of one connection. This crate has fewer, and prepares each once.
const STATEMENTS: usize = 48;
/// Most settings that the server may report, because the driver keeps them.
const SETTINGS: usize = 1000;
/// Most bytes of one reported setting.
const SETTING: usize = 8 << 10;
/// Most bytes of the description of a statement or its rows, because the driver keeps it.
const DESCRIPTION: usize = 64 << 10;

/// Connector of guarded connections without encryption.
///
/// The driver treats them as TLS, but nothing is negotiated.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl MakeTlsConnect<Socket> for Plain {
    type Stream = Guarded<Socket>;
    type TlsConnect = Self;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl TlsConnect<Socket> for Plain {
    type Stream = Guarded<Socket>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Stream, Infallible>>;

    fn connect(self, socket: Socket) -> Self::Future {
        ready(Ok(Guarded::new(socket, |_| ChannelBinding::none())))
    }
}

/// Connection that fails when the server exceeds a limit.
pub(crate) struct Guarded<S> {
    stream: S,
    binding: fn(&S) -> ChannelBinding,
    said: Said,
}

impl<S> Guarded<S> {
    /// Guards a stream; `binding` returns the channel binding of its encryption.
    pub(crate) fn new(stream: S, binding: fn(&S) -> ChannelBinding) -> Self {
        Self { stream, binding, said: Said::default() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Guarded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        (self.binding)(&self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let before = buffer.filled().len();
        poll_ready!(Pin::new(&mut own.stream).poll_read(context, buffer))?;
        let too_much = || io::Error::new(io::ErrorKind::InvalidData, "the database says too much");
        let more = buffer.filled().get(before..).and_then(|more| own.said.listen(more));
        Poll::Ready(more.ok_or_else(too_much))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let written = poll_ready!(Pin::new(&mut own.stream).poll_write(context, bytes))?;
        own.said.bytes = 0;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Counts of what the server has sent.
///
/// A message is a letter, its length in four bytes, and that many bytes less four.
#[derive(Default)]
struct Said {
    /// Bytes since this process last sent something.
    bytes: usize,
    statements: usize,
    settings: usize,
    /// Letter and length of the current message, as far as received.
    head: [u8; 5],
    head_length: usize,
    /// Bytes that are missing of the current message.
    rest: usize,
}

impl Said {
    /// Counts more bytes; returns `None` once a limit is exceeded.
    fn listen(&mut self, mut more: &[u8]) -> Option<()> {
        self.bytes = self.bytes.saturating_add(more.len());
        while let Some((&byte, others)) = more.split_first() {
            if self.rest > 0 {
                let rest = self.rest.min(more.len());
                self.rest -= rest;
                more = more.get(rest..)?;
                continue;
            }
            *self.head.get_mut(self.head_length)? = byte;
            self.head_length += 1;
            more = others;
            if self.head_length == self.head.len() {
                self.head_length = 0;
                self.begin()?;
            }
        }
        (self.bytes <= BYTES).then_some(())
    }

    fn begin(&mut self) -> Option<()> {
        let [kind, length @ ..] = self.head;
        self.rest = usize::try_from(u32::from_be_bytes(length)).ok()?.checked_sub(4)?;
        let most = match kind {
            // ParseComplete
            b'1' => {
                self.statements += 1;
                BYTES
            }
            // ParameterStatus
            b'S' => {
                self.settings += 1;
                SETTING
            }
            // RowDescription, ParameterDescription
            b'T' | b't' => DESCRIPTION,
            _ => BYTES,
        };
        let is_little =
            self.rest <= most && self.statements <= STATEMENTS && self.settings <= SETTINGS;
        is_little.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, rest: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(rest + 4).unwrap().to_be_bytes());
        bytes.resize(5 + rest, b'S');
        bytes
    }

    /// SEC-207
    #[test]
    fn messages_are_told_apart_wherever_they_are_cut() {
        let bytes =
            [message(b'1', 0), message(b'D', 70), message(b'S', 3), message(b'1', 1)].concat();
        for size in 1..bytes.len() {
            let mut said = Said::default();
            assert!(bytes.chunks(size).all(|chunk| said.listen(chunk).is_some()));
            assert_eq!((said.statements, said.settings, said.rest), (2, 1, 0), "{size}");
            assert_eq!(said.bytes, bytes.len());
        }
    }

    /// SEC-207
    #[test]
    fn too_much_of_anything_is_the_end() {
        let count = |kind| {
            let mut said = Said::default();
            (0..).take_while(|_| said.listen(&message(kind, 0)).is_some()).count()
        };
        assert_eq!((count(b'1'), count(b'S')), (STATEMENTS, SETTINGS));
        for length in [0_u32, 3, 17 << 20, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
            let head = [[b'D'].as_slice(), &length.to_be_bytes()].concat();
            assert_eq!(Said::default().listen(&head), None, "{length}");
        }
        for (kind, most) in [(b'S', SETTING), (b'T', DESCRIPTION), (b't', DESCRIPTION)] {
            assert!(Said::default().listen(&message(kind, most)).is_some());
            assert_eq!(Said::default().listen(&message(kind, most + 1)), None);
        }
        let mut said = Said::default();
        let notice = message(b'N', 1000);
        let most = (0..).take_while(|_| said.listen(&notice).is_some()).count();
        assert_eq!(most, BYTES / notice.len());
        // A limit of bytes starts anew with each question.
        let mut said = Said::default();
        for _ in 0..3 * most {
            said.bytes = 0;
            assert!(said.listen(&notice).is_some());
        }
    }
}
