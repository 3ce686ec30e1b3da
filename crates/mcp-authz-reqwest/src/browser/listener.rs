//! Listener for the browser's redirect, on a loopback port (RFC 8252 §7.3).
//!
//! It answers every request from `bind` until it is dropped.

use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client_flow::{CallbackListener, CallbackRequest, Heard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

/// Maximum number of connections with an incomplete request.
///
/// One more closes the oldest.
const MAX_READING: usize = 64;
/// Maximum time to read a request, and to write its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Delay after a failed `accept`, as when the process is out of sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// Bound port with the task that answers it.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    port: Port,
    logins: WaitingLogins,
    task: AbortHandle,
}

/// Bound port, shared with the task.
///
/// Dropping the listener closes it at once, although the task ends later.
#[derive(Clone, Debug)]
struct Port(Arc<Mutex<Option<TcpListener>>>);

/// Logins that wait for their callback.
#[derive(Clone, Debug, Default)]
struct WaitingLogins(Arc<Mutex<Vec<WaitingLogin>>>);

#[derive(Debug)]
struct WaitingLogin {
    listener: CallbackListener,
    callback: mpsc::Sender<String>,
}

impl Listener {
    /// Binds a port of 127.0.0.1, or of `::1` on a host without IPv4.
    ///
    /// Neither can be reached from other machines.
    pub(super) async fn bind(port: u16) -> Result<Self, std::io::Error> {
        let at = |ip: IpAddr| TcpListener::bind(SocketAddr::new(ip, port));
        let listener = match at(Ipv4Addr::LOCALHOST.into()).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
                at(Ipv6Addr::LOCALHOST.into()).await?
            }
            bound => bound?,
        };
        let (address, logins) = (listener.local_addr()?, WaitingLogins::default());
        let port = Port(Arc::new(Mutex::new(Some(listener))));
        let task = tokio::spawn(answer_all(port.clone(), logins.clone())).abort_handle();
        Ok(Self { address, port, logins, task })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the callback of a login.
    ///
    /// The browser has its page by then, unless the write failed.
    pub(super) async fn callback(&self, listener: CallbackListener) -> String {
        let (callback, mut answered) = mpsc::channel(1);
        self.logins.open().push(WaitingLogin { listener, callback });
        // Dropping this future closes the channel, and `WaitingLogins::open` removes closed entries.
        match answered.recv().await {
            Some(callback) => callback,
            // Does not occur, because `WaitingLogins` holds a sender until this receiver is dropped.
            None => core::future::pending().await,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.port.close();
        self.task.abort();
    }
}

impl Port {
    async fn accept(&self) -> std::io::Result<TcpStream> {
        let accepted =
            poll_fn(|context| match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(listener) => listener.poll_accept(context),
                None => Poll::Pending,
            });
        accepted.await.map(|(stream, _)| stream)
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl WaitingLogins {
    fn open(&self) -> MutexGuard<'_, Vec<WaitingLogin>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|visit| !visit.callback.is_closed());
        waiting
    }

    /// Answers a request, and returns the sender of the login whose callback it is.
    fn answer(&self, request: &CallbackRequest) -> (Heard, Option<mpsc::Sender<String>>) {
        let mut heard = request.answer(None);
        for visit in self.open().iter() {
            heard = request.answer(Some(&visit.listener));
            if heard.is_callback() {
                return (heard, Some(visit.callback.clone()));
            }
        }
        (heard, None)
    }
}

/// Accepted connection.
struct Connection {
    task: AbortHandle,
    has_asked: Arc<AtomicBool>,
}

/// Accepts connections and answers each in a task of its own.
///
/// Browsers open connections ahead of need and leave them idle, and other programs may connect as well, so
/// connections do not wait for each other. Above [`MAX_READING`] incomplete requests, the oldest connection is
/// closed.
async fn answer_all(port: Port, logins: WaitingLogins) {
    let mut open = JoinSet::new();
    let mut reading: VecDeque<Connection> = VecDeque::new();
    loop {
        let Ok(stream) = port.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        reading.retain(|connection| {
            !connection.task.is_finished() && !connection.has_asked.load(Ordering::Relaxed)
        });
        if reading.len() >= MAX_READING
            && let Some(oldest) = reading.pop_front()
        {
            oldest.task.abort();
        }
        let has_asked = Arc::new(AtomicBool::new(false));
        let task = open.spawn(answer(stream, logins.clone(), Arc::clone(&has_asked)));
        reading.push_back(Connection { task, has_asked });
    }
}

/// Answers one connection, then passes the callback to its login.
async fn answer(mut stream: TcpStream, logins: WaitingLogins, has_asked: Arc<AtomicBool>) {
    let Ok(Some(request)) = tokio::time::timeout(PATIENCE, read(&mut stream)).await else {
        return;
    };
    has_asked.store(true, Ordering::Relaxed);
    let (heard, waits) = logins.answer(&request);
    let write = async {
        stream.write_all(heard.reply().as_bytes()).await?;
        stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(()))) {
        debug!("the browser left before its answer");
    }
    match (heard.callback(), waits) {
        (Some(callback), Some(visit)) => {
            // A second callback is a reload of the same page and is dropped.
            let _ = visit.try_send(callback);
        }
        _ => debug!("a request to the callback listener does not answer the login"),
    }
}

/// Reads a request; returns `None` when the connection ends before it is complete.
async fn read(stream: &mut TcpStream) -> Option<CallbackRequest> {
    let (mut request, mut chunk) = (CallbackRequest::default(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        if request.push(chunk.get(..count)?) {
            return Some(request);
        }
    }
}
