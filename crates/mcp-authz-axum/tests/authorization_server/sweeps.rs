//! What has expired is removed beside the requests, and by no host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authorization_server::Store as _;
use authorization_server::store::OnceKind;
use http::StatusCode;
use mcp_authz_axum::Clock;
use oauth_types::{SecretDigest, UnixTime};
use tokio::task::yield_now;

use crate::server::*;
use crate::watched::Watched;

const DAY: u64 = 24 * 60 * 60;

struct Swept {
    server: Server,
    store: Arc<Watched>,
    seconds: Arc<AtomicU64>,
}

impl Swept {
    fn new() -> Self {
        let seconds = Arc::new(AtomicU64::new(NOW.as_secs()));
        let now = Arc::clone(&seconds);
        let clock = Clock::new(move || UnixTime::from_secs(now.load(Ordering::SeqCst)));
        let (server, store) = Watched::server(config("https://as.example"), clock);
        Self { server, store, seconds }
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A registration, a login, and a refresh.
    async fn all(&self) {
        let client = self.server.client().await;
        let code = self.server.code(&client).await;
        let tokens = self.server.form("/token", &redeem(&client, &code)).await;
        assert_eq!(tokens.status, StatusCode::OK);
        let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={refresh}");
        assert_eq!(self.server.form("/token", &form).await.status, StatusCode::OK);
    }

    /// What each call removed, once there is nothing to do but that.
    async fn swept(&self) -> Vec<usize> {
        for _ in 0..100 {
            yield_now().await;
        }
        self.store.swept()
    }
}

/// SEC-209
#[tokio::test]
async fn nobody_waits_for_a_sweep() {
    let swept = Swept::new();
    let held = swept.store.sweepers.write().await;
    for _ in 0..3 {
        // The first of these began a sweep, which never ends.
        swept.all().await;
        swept.pass(60);
    }
    assert!(swept.swept().await.is_empty());
    drop(held);
    // One was begun, although minutes have passed.
    assert_eq!(swept.swept().await, [0]);
}

/// SEC-209
#[tokio::test]
async fn answers_that_nobody_logs_in_for_are_removed_too() {
    let swept = Swept::new();
    let client = swept.server.client().await;
    assert_eq!(swept.swept().await, [0]);
    // Two to four hours after their end.
    for removed in [0, 0, 1, 1] {
        swept.pass(2 * 3600);
        let page = swept.server.get(&authorize(&client, &[])).await;
        let denied = swept.server.consent(&page.transaction(), &page.cookie(), "deny").await;
        assert_eq!(denied.status, StatusCode::SEE_OTHER);
        assert_eq!(swept.swept().await.last(), Some(&removed));
    }
}

/// SEC-209
#[tokio::test]
async fn what_has_expired_goes_while_others_come() {
    let swept = Swept::new();
    swept.all().await;
    assert_eq!(swept.swept().await, [0]);
    // Not with each request.
    swept.pass(59);
    swept.all().await;
    assert_eq!(swept.swept().await, [0]);
    swept.pass(1);
    swept.all().await;
    assert_eq!(swept.swept().await, [0, 0]);
    // More than are removed at once; and of each login two access tokens. What was answered to its page stays for
    // hours.
    let until = NOW.saturating_add(core::time::Duration::from_secs(60));
    for number in 0..2500 {
        let key = SecretDigest::of(&number.to_string());
        swept.server.store.put_once(OnceKind::ResourceRequest, &key, until, NOW).await.unwrap();
    }
    swept.pass(DAY);
    swept.all().await;
    assert_eq!(swept.swept().await, [0, 0, 1000, 1000, 506]);
    // A clock that was set back keeps nothing for ever. What was forgotten meanwhile is over, so it is not before that.
    swept.seconds.store(NOW.as_secs() + 3600, Ordering::SeqCst);
    swept.all().await;
    assert_eq!(swept.swept().await.len(), 6);
}
