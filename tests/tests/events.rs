//! What a client tells of itself. In a process of its own: which events are wanted is everybody's in a process.

#![cfg(test)]

#[path = "client_over_http/servers.rs"]
#[expect(dead_code, reason = "the servers are also other tests'")]
mod servers;

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use client_flow::{BrowserRequest, ClientConfig};
use futures::future::BoxFuture;
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore, MemoryCredentials, UserAgent, VisitError,
};
use oauth_types::{RedirectUri, ResourceUri};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use servers::*;

/// All that was written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A user whose comings and goings are noted.
struct Watched(User, Arc<Mutex<Vec<String>>>);

impl UserAgent for Watched {
    fn redirect_uri(&self) -> &RedirectUri {
        self.0.redirect_uri()
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            let callback = self.0.visit(visit).await?;
            self.1.lock().unwrap().extend([visit.url().to_owned(), callback.clone()]);
            Ok(callback)
        })
    }
}

/// Values of these parameters in URLs.
fn values(urls: &[String], names: &[&str]) -> Vec<String> {
    let pairs = urls.iter().flat_map(|url| url.split(['?', '&']));
    let named = pairs.filter_map(|pair| pair.split_once('='));
    named.filter(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned()).collect()
}

/// SEC-192, C-TOKEN-10
#[tokio::test]
async fn events_tell_each_step_and_no_secret() {
    let log = Log::default();
    let (writer, urls) = (log.clone(), Arc::<Mutex<Vec<String>>>::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_span_events(FmtSpan::NEW)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let store = Arc::new(MemoryCredentials::default());
    let servers = servers().await;
    let (user, _) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let user = Watched(user, Arc::clone(&urls));
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    let client = builder.store(Arc::clone(&store)).build().unwrap();
    let mut secrets = Vec::new();
    let server = ResourceUri::parse(&servers.mcp_url).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for tool in ["read", "write"] {
        all_ok([call(&client, tool)]).await;
        servers.clock.fetch_add(700, Ordering::SeqCst);
        all_ok([call(&client, tool)]).await;
        let tokens = store.find(&server).await.unwrap().unwrap().tokens.unwrap();
        let refresh_token = tokens.refresh_token.unwrap();
        secrets.extend([tokens.access_token, refresh_token].map(|it| it.expose().to_owned()));
    }
    secrets.extend(values(&urls.lock().unwrap(), &["code", "state"]));
    assert_eq!(
        secrets.len(),
        4 + 2 * 3,
        "tokens of four answers; two visits with state, and state and code"
    );
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
    for step in [
        "login",
        "refresh",
        "step-up",
        "send request",
        "load credentials",
        "open browser",
        "save credentials",
        "authorized",
    ] {
        assert!(log.contains(step), "{step} is not in the log");
    }
}
