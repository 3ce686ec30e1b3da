//! Ends connections so that the peer gets its last answer.
//!
//! A kernel resets a connection that is closed while the peer still sends, and the peer then loses an answer that it has
//! not read, such as 431, 413 or 401. So what it sends is read for a moment and dropped.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::connections::Activity;

/// Most that is read behind the last answer, in bytes.
const MAX_UNREAD: usize = 256 * 1024;
/// Longest time to wait for the peer to close its side.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// A connection of a listener.
pub(crate) struct Lingering {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// Set once nothing more is written.
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
