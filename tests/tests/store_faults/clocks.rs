//! Clocks that jump while both servers run: what was used, revoked or swept lets nobody in, whatever they say.

use core::time::Duration;

use authorization_server::Store;
use http::{HeaderMap, StatusCode};
use oauth_types::UnixTime;
use serde_json::json;
use tests::faulty::FaultyStore;

use crate::site::{Site, plain};
use crate::story::{Held, Story};

const HOUR: u64 = 3600;
const YEARS: u64 = 10 * 365 * 24 * HOUR;

/// The status of a call by nobody but the holder of this token.
async fn call<S: Store + 'static>(site: &Site<S>, held: &Held) -> StatusCode {
    site.call(&held.access, || None).await
}

/// Checks that an answer gives nothing: the grant is over, or by this clock the client with it.
fn assert_is_over(error: &str, now: UnixTime) {
    assert!(matches!(error, "invalid_grant" | "invalid_client"), "{error} {now:?}");
}

pub(crate) async fn jumps<S: Store + 'static>(store: S) {
    let site = Site::open(FaultyStore::new(store, []), Duration::from_secs(60)).await;
    let mut story = Story::new(&site);
    let client = story.register().await;
    let client = client.as_str();
    let start = site.now();

    let spent = story.log_in(client, false).await;
    let next = Held::new("", &story.refresh(client, &spent.refresh, false).await);
    let revoked = story.log_in(client, false).await;
    let form = format!("client_id={client}&token={}", revoked.refresh);
    assert_eq!(site.form("/revoke", &form, plain).await.status, StatusCode::OK);
    let machine = "grant_type=client_credentials&";
    let shown = site.assertion();
    let assert = || (HeaderMap::new(), shown.clone());
    assert_eq!(site.form("/token", machine, assert).await.status, StatusCode::OK);
    let bound = story.log_in(client, true).await;
    let proof = site.proof(Some(&bound.access));
    let prove = || Some(proof.clone());
    assert_eq!(site.call(&bound.access, prove).await, StatusCode::OK);
    let (unused, _) = story.code(client).await;
    let unused = unused.unwrap();
    assert_eq!(story.redeem(client, &spent.code, false).await.error(), "invalid_grant");

    let ahead = start.saturating_add(Duration::from_secs(YEARS));
    let back = UnixTime::from_secs(start.as_secs() - HOUR);
    let (first, last) = (UnixTime::from_secs(0), UnixTime::from_secs(u64::MAX));
    let mut was_swept = false;
    for now in [start, back, first, start, ahead, back, start, last, first, start] {
        site.set(now);
        let answer = story.redeem(client, &spent.code, false).await;
        assert_is_over(&answer.error(), now);
        for held in [&spent, &next, &revoked] {
            let answer = story.refresh(client, &held.refresh, false).await;
            assert_is_over(&answer.error(), now);
            assert_eq!(call(&site, held).await, StatusCode::UNAUTHORIZED, "{now:?}");
        }
        let answer = site.form("/token", machine, assert).await;
        assert_eq!(answer.error(), "invalid_client", "{now:?}");
        assert_eq!(site.call(&bound.access, prove).await, StatusCode::UNAUTHORIZED, "{now:?}");
        // Whoever comes now is answered.
        site.json("/register", &json!({"redirect_uris": ["https://app.example/cb"]})).await;
        site.get(&Story::<S>::authorize(client)).await;
        // A sweep by a clock that is ahead takes all that has expired by it, for ever.
        was_swept |= now == ahead;
        while was_swept && site.store.inner().sweep(now, 100).await.unwrap() > 0 {}
        if was_swept {
            let answer = story.redeem(client, &unused, false).await;
            assert_is_over(&answer.error(), now);
            let fresh = || Some(site.proof(Some(&bound.access)));
            let status = site.call(&bound.access, fresh).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{now:?}");
        }
    }
}
