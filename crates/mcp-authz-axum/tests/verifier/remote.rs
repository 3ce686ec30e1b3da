//! What a server that is not ours says about itself.

use core::time::Duration;
use std::sync::Arc;

use futures::future::join_all;
use mcp_authz_axum::{InvalidRemote, RemoteServer};
use oauth_types::{InvalidUri, Issuer, UnixTime};
use serde_json::json;

use crate::foreign::*;

const NOW: u64 = 1_000_000;
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW + seconds)
}

fn document(server: &Foreign) -> Answer {
    Answer::json(&json!({"issuer": server.issuer(), "jwks_uri": server.url("/jwks")}))
}

/// C-DISC-5, C-DISC-6
#[tokio::test]
async fn metadata_is_found_once_for_all_who_wait_and_kept_for_an_hour() {
    let server = Foreign::new().await;
    server.answer(OPENID, document(&server));
    let remote = RemoteServer::new(server.issuer()).unwrap();
    assert_eq!(server.asked(OAUTH), 0, "nothing is fetched before it is needed");
    let found = join_all((0..50).map(|_| remote.metadata(at(0)))).await;
    assert!(found.iter().all(|found| found.as_ref().unwrap().issuer == server.issuer()));
    assert!(remote.metadata(at(3599)).await.is_ok());
    assert_eq!((server.asked(OAUTH), server.asked(OPENID), server.most_at_once()), (1, 1, 1));
    server.answer(OAUTH, document(&server));
    assert!(remote.metadata(at(3600)).await.is_ok());
    eventually(|| server.asked(OAUTH) == 2).await;
    assert_eq!(server.asked(OPENID), 1);
}

#[tokio::test]
async fn who_waits_no_more_takes_nothing_from_the_others() {
    let server = Foreign::new().await;
    server.answer(OAUTH, Answer { delay: Duration::from_millis(200), ..document(&server) });
    let remote = Arc::new(RemoteServer::new(server.issuer()).unwrap());
    let short = Duration::from_millis(50);
    let first = tokio::time::timeout(short, remote.metadata(at(0)));
    let (first, second) = tokio::join!(first, remote.metadata(at(0)));
    assert!(first.is_err() && second.is_ok());
}

/// It keeps nobody waiting who has metadata.
#[tokio::test]
async fn a_search_is_noted_even_if_its_asker_stops_waiting() {
    let server = Foreign::new().await;
    let slow = Answer { delay: Duration::from_secs(60), ..document(&server) };
    server.answer(OAUTH, slow.clone());
    let remote = RemoteServer::new(server.issuer()).unwrap();
    let moment = Duration::from_millis(50);
    for _ in 0..10 {
        assert!(tokio::time::timeout(moment, remote.metadata(at(0))).await.is_err());
    }
    assert!(remote.metadata(at(0)).await.is_err());
    assert!(tokio::time::timeout(moment, remote.metadata(at(4))).await.unwrap().is_err());
    assert_eq!(server.asked(OAUTH), 1);
    server.answer(OAUTH, document(&server));
    assert!(remote.metadata(at(5)).await.is_ok());
    server.answer(OAUTH, slow);
    for second in 0..10 {
        let known = tokio::time::timeout(moment, remote.metadata(at(3605 + second))).await;
        assert!(known.unwrap().is_ok());
    }
    eventually(|| server.asked(OAUTH) == 3).await;
}

/// What it said before is used meanwhile.
#[tokio::test]
async fn a_server_that_is_down_is_asked_again_soon() {
    let address = Foreign::new().await.stop().await;
    let issuer = Issuer::parse(&format!("http://{address}")).unwrap();
    let remote = RemoteServer::new(issuer).unwrap();
    assert!(remote.metadata(at(0)).await.is_err());
    let server = Foreign::at(address).await;
    server.answer(OAUTH, document(&server));
    assert!(remote.metadata(at(4)).await.is_err());
    assert_eq!(server.asked(OAUTH), 0);
    assert!(remote.metadata(at(5)).await.is_ok());
    server.stop().await;
    assert!(remote.metadata(at(5 + 3600)).await.is_ok());
    assert!(remote.metadata(at(5 + 24 * 3600)).await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_waited_for_followed_or_kept() {
    let other = Foreign::new().await;
    for answer in [
        Answer::json("<html>"),
        Answer::json(&"x".repeat(10 * 1024 * 1024)),
        Answer::json(&json!({"issuer": other.issuer()})),
        Answer { location: other.url(OAUTH), ..Answer::status(302) },
        Answer { location: other.url(OAUTH), ..Answer::status(307) },
        Answer::status(500),
    ] {
        let server = Foreign::new().await;
        other.answer(OAUTH, document(&server));
        server.answer(OAUTH, answer.clone());
        server.answer(OPENID, answer);
        let remote = RemoteServer::new(server.issuer()).unwrap();
        assert!(remote.metadata(at(0)).await.is_err());
    }
    assert_eq!(other.asked(OAUTH), 0);
}

/// C-DISC-10
#[tokio::test]
async fn a_long_page_does_not_hide_the_document_in_the_next_place() {
    let server = Foreign::new().await;
    let page = "x".repeat(200 * 1024);
    server.answer(OAUTH, Answer { content_type: "text/html", ..Answer::json(&page) });
    server.answer(OPENID, document(&server));
    let remote = RemoteServer::new(server.issuer()).unwrap();
    assert!(remote.metadata(at(0)).await.is_ok());
}

#[tokio::test]
async fn a_server_that_is_slow_is_not_waited_for() {
    let slow = Foreign::new().await;
    slow.answer(OAUTH, Answer { delay: Duration::from_secs(60), ..document(&slow) });
    let remote = RemoteServer::new(slow.issuer()).unwrap();
    let limit = Duration::from_secs(7);
    assert!(tokio::time::timeout(limit, remote.metadata(at(0))).await.unwrap().is_err());
}

#[test]
fn what_cannot_be_asked_is_said_at_once() {
    let issuer = Issuer::parse("https://as.example/a/../b").unwrap();
    let refused = RemoteServer::new(issuer).unwrap_err();
    assert_eq!(refused, InvalidRemote::Issuer(InvalidUri::DotSegment));
    let issuer = Issuer::parse("https://as.example").unwrap();
    let bad = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let refused = RemoteServer::on_own_network(issuer, bad).unwrap_err();
    assert_eq!(refused, InvalidRemote::Certificate);
}
