//! Signals that tell the process to shut down.

use tokio::signal::ctrl_c;
use tracing::warn;

/// Waits for Ctrl-C, or for SIGTERM, which service managers and container runtimes send.
///
/// From the first poll on, neither signal ends the process by itself: pass this future to [`serve`](crate::serve()),
/// which then accepts no more connections and finishes the answers under way.
///
/// ```no_run
/// # async fn f(router: axum::Router) -> std::io::Result<()> {
/// use mcp_authz_axum::{ConnectionLimits, serve, shutdown_signal};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// serve(listener, router, ConnectionLimits::default(), shutdown_signal()).await;
/// # Ok(()) }
/// ```
pub async fn shutdown_signal() {
    tokio::select! {
        () = or_never(ctrl_c()) => {}
        () = or_never(terminate()) => {}
    }
}

/// Waits for a signal, or for ever if the signal cannot be waited for.
async fn or_never(signal: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = signal.await {
        warn!(%error, "a signal to end cannot be waited for");
        core::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminate() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

#[cfg(not(unix))]
async fn terminate() -> std::io::Result<()> {
    core::future::pending().await
}
