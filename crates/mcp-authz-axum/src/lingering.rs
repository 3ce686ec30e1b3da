//! Lingering close of connections, so that the peer receives the last answer (RFC 9112 §9.6).
//!
//! A kernel resets a connection that is closed while the peer still sends. The peer then loses an unread answer, such
//! as 431, 413 or 401. Further bytes are therefore read and discarded for a moment.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::connections::Activity;

/// Maximum number of bytes that are read after the last answer.
const MAX_UNREAD: usize = 256 * 1024;
/// Longest time to wait for the peer to close its side.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Connection of a listener that lingers when it is shut down.
pub(crate) struct Lingering {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// Bytes and time that are left to linger, set after the last write.
    end: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Lingering {
    pub(crate) const fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, end: None }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, activity, end } = &mut *self;
        let (left, wait) = match end {
            Some(end) => end,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                if !activity.has_unread() {
                    return Poll::Ready(Ok(()));
                }
                end.insert((MAX_UNREAD, Box::pin(sleep(MAX_WAIT))))
            }
        };
        let mut piece = [0; 4096];
        while *left > 0 && wait.as_mut().poll(cx).is_pending() {
            let mut piece = ReadBuf::new(&mut piece);
            let is_read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece)).is_ok();
            if !is_read || piece.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(piece.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
