//! What a fetch may cost, and how long it is good for.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::server::*;
use crate::site::*;

/// SEC-121
#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let away = answer(status, "location: /elsewhere\r\n", b"");
        let site = Site::serving(vec![away, json("", "{}")]).await;
        let (server, _) = reader_of(site.documents());
        assert_unknown(&server.get(&authorize(&site.url(), &[])).await, status);
        assert_eq!(site.asked(), 1, "{status}");
    }
}

/// A site that sends this head, and then these bytes for as long as somebody reads, with pauses.
async fn endless(head: &'static str, bytes: Vec<u8>, pause: Duration) -> (Site, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let bytes = Arc::new(bytes);
    let site = Site::new(move |_, mut stream| {
        let (count, bytes) = (Arc::clone(&count), Arc::clone(&bytes));
        Box::pin(async move {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok() {
                count.fetch_add(bytes.len(), Ordering::SeqCst);
                tokio::time::sleep(pause).await;
            }
        })
    })
    .await;
    (site, sent)
}

/// SEC-122: the stated length does not matter, nor how slow it comes.
#[tokio::test]
async fn a_body_ends_at_its_limit_and_at_the_deadline() {
    const TYPE: &str = "content-type: application/json\r\n";
    let long: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    let lying = Site::serving(vec![
        [long.as_bytes(), &b" ".repeat(1_000_000)].concat(),
        // And one that promises more than it has.
        format!("HTTP/1.1 200 OK\r\n{TYPE}content-length: 5000\r\n\r\n{{}}").into_bytes(),
        json("", &" ".repeat(5121)),
    ])
    .await;
    let (server, _) = reader_of(lying.documents());
    for _ in 0..3 {
        assert_unknown(&server.get(&authorize(&lying.url(), &[])).await, "lying");
    }
    let chunk = [b"400\r\n".as_slice(), &b" ".repeat(1024), b"\r\n"].concat();
    let chunked =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let (site, _) = endless(chunked, chunk, Duration::ZERO).await;
    let (server, _) = reader_of(site.documents());
    let start = Instant::now();
    assert_unknown(&server.get(&authorize(&site.url(), &[])).await, "endless");
    assert!(start.elapsed() < Duration::from_secs(2), "the limit ends it, not the deadline");

    let slow = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    for head in [slow, "HTTP/1.1 200 OK\r\nx: "] {
        let (site, sent) = endless(head, b" ".to_vec(), Duration::from_millis(250)).await;
        let (server, _) = reader_of(site.documents());
        let start = Instant::now();
        assert_unknown(&server.get(&authorize(&site.url(), &[])).await, "slow");
        let elapsed = start.elapsed();
        assert!((2400..3500).contains(&elapsed.as_millis()), "{elapsed:?}");
        assert!(sent.load(Ordering::SeqCst) < 20);
    }
}

/// What gzip makes of this, without making it smaller (RFC 1952, RFC 1951 §3.2.4).
fn gzip(plain: &[u8]) -> Vec<u8> {
    let step = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    let crc = !plain.iter().fold(u32::MAX, byte);
    let length = u16::try_from(plain.len()).unwrap();
    let head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".as_slice();
    let (lengths, size) = ([length.to_le_bytes(), (!length).to_le_bytes()], u32::from(length));
    [head, lengths.as_flattened(), plain, &crc.to_le_bytes(), &size.to_le_bytes()].concat()
}

/// SEC-122
#[tokio::test]
async fn nothing_is_decompressed() {
    let site = Site::new(|_, mut stream: Stream| {
        Box::pin(async move {
            let port = stream.get_ref().0.local_addr().unwrap().port();
            let url = format!("https://client.test:{port}/client.json");
            let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
            let body = gzip(document(&url, "").as_bytes());
            let _ = stream.write_all(&answer("200 OK", headers, &body)).await;
        })
    })
    .await;
    let (server, _) = reader_of(site.documents());
    assert_unknown(&server.get(&authorize(&site.url(), &[])).await, "gzip");
    assert_eq!(site.asked(), 1);
}

/// SEC-125
#[tokio::test]
async fn what_is_bad_is_never_kept() {
    const KEPT: &str = "cache-control: max-age=600\r\n";
    let site = changing(&[
        ("404 Not Found", KEPT, "A"),
        ("500 Internal Server Error", KEPT, "A"),
        ("200 OK", KEPT, ""),
        ("200 OK", KEPT, "A"),
        ("404 Not Found", KEPT, "A"),
    ])
    .await;
    let (server, time) = reader_of(site.documents());
    let ask = async || server.get(&authorize(&site.url(), &[])).await.status;
    for asked in 1..=3 {
        assert_eq!(ask().await, StatusCode::BAD_REQUEST);
        assert_eq!(site.asked(), asked);
    }
    assert_eq!((ask().await, ask().await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(site.asked(), 4);
    // What was good once is not served when it is over.
    time.fetch_add(600, Ordering::Relaxed);
    assert_eq!(ask().await, StatusCode::BAD_REQUEST);
}

/// SEC-125
#[tokio::test]
async fn what_is_good_is_kept_as_long_as_it_says_within_bounds() {
    let day = 24 * 60 * 60;
    let dated = "date: Mon, 12 Jan 1970 13:46:40 GMT\r\nexpires: Mon, 12 Jan 1970 13:51:40 GMT\r\n";
    // How long each is kept, in seconds.
    for (headers, kept) in [
        ("cache-control: max-age=600\r\nage: 100\r\n", 500),
        ("cache-control: s-maxage=300, max-age=9\r\n", 300),
        ("cache-control: max-age=99999999\r\n", day),
        ("cache-control: max-age=18446744073709551615\r\nage: 18446744073709551615\r\n", 60),
        ("cache-control: max-age=0\r\n", 60),
        ("cache-control: no-cache\r\n", 60),
        ("", 60),
        ("expires: 0\r\n", 60),
        (dated, 300),
        ("cache-control: no-store\r\n", 0),
        ("cache-control: max-age=600, private\r\n", 0),
    ] {
        let site = changing(vec![("200 OK", headers, "A")].leak()).await;
        let (server, time) = reader_of(site.documents());
        let ask = async || {
            let answer = server.get(&authorize(&site.url(), &[])).await;
            assert_eq!(answer.status, StatusCode::OK, "{headers}");
            site.asked()
        };
        assert_eq!(ask().await, 1);
        if kept > 0 {
            time.fetch_add(kept - 1, Ordering::Relaxed);
            assert_eq!(ask().await, 1, "{headers}");
            time.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(ask().await, 2, "{headers}");
    }
}

/// SEC-125
#[tokio::test]
async fn kept_clients_are_bounded_and_the_longest_unused_goes_first() {
    let documents = Counting::default();
    let (server, _) = reader_of(documents.clone());
    let url = |n: usize| authorize(&format!("https://c{n}.test/m"), &[]);
    for n in 0..1_000 {
        assert_eq!(server.get(&url(n)).await.status, StatusCode::OK);
    }
    assert_eq!(server.get(&url(0)).await.status, StatusCode::OK);
    assert_eq!(documents.asked(), 1_000);
    server.get(&url(1_000)).await;
    server.get(&url(0)).await;
    assert_eq!(documents.asked(), 1_001);
    server.get(&url(1)).await;
    assert_eq!(documents.asked(), 1_002);
}

/// SEC-126
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_ask_for_one_new_client_cause_one_fetch() {
    let site = Site::new(|_, mut stream: Stream| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let port = stream.get_ref().0.local_addr().unwrap().port();
            let url = format!("https://client.test:{port}/client.json");
            let _ = stream.write_all(&json("", &document(&url, ""))).await;
        })
    })
    .await;
    let (server, _) = reader_of(site.documents());
    let url = authorize(&site.url(), &[]);
    let answers = join_all((0..1_000).map(|_| server.get(&url))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(site.asked(), 1);
}

/// SEC-126: it goes on if the first asker goes away.
#[tokio::test]
async fn all_askers_share_one_fetch_even_if_it_fails() {
    let (site, _) =
        endless("HTTP/1.1 200 OK\r\n", b"x: y\r\n".to_vec(), Duration::from_secs(1)).await;
    let (server, _) = reader_of(site.documents());
    let url = authorize(&site.url(), &[]);
    let short = Duration::from_millis(200);
    assert!(tokio::time::timeout(short, server.get(&url)).await.is_err());
    let answers = join_all((0..50).map(|_| server.get(&url))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::BAD_REQUEST));
    assert_eq!(site.asked(), 1);
}

/// SEC-126
#[tokio::test]
async fn nobody_is_flooded_through_this_server() {
    let documents = Counting { delay: Duration::from_millis(20), ..Counting::default() };
    let (server, _) = reader_of(documents.clone());
    let of_one_host = |n: usize| authorize(&format!("https://victim.test/{n}"), &[]);
    let urls: Vec<_> = (0..1_000).map(of_one_host).collect();
    let answers = join_all(urls.iter().map(|url| server.get(url))).await;
    let statuses: HashSet<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, HashSet::from([StatusCode::OK, StatusCode::BAD_REQUEST]));
    // Ten at once, and then one a second.
    assert!((10..=13).contains(&documents.asked()), "{}", documents.asked());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(server.get(&of_one_host(5_000)).await.status, StatusCode::OK);
    // Of many hosts no more than some at once.
    let urls: Vec<_> = (0..200).map(|n| authorize(&format!("https://c{n}.test/m"), &[])).collect();
    let answers = join_all(urls.iter().map(|url| server.get(url))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(documents.most_at_once.load(Ordering::SeqCst), 32);
}
