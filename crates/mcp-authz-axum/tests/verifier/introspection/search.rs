//! Search for the introspection endpoint.

use super::*;

#[tokio::test]
async fn an_endpoint_that_is_given_is_not_looked_for() {
    let servers = servers_with(|verifier, foreign| {
        foreign.answer(METADATA, Answer::status(500));
        verifier.with_endpoint(EndpointUrl::parse(&foreign.url(ENDPOINT)).unwrap())
    })
    .await;
    assert_eq!(servers.show("t").await.status, StatusCode::OK);
    assert_eq!(servers.foreign.asked(METADATA), 0);
}

#[tokio::test]
async fn a_moved_endpoint_is_found_again_without_a_search_each_time() {
    let servers = servers().await;
    assert_eq!(servers.show("t").await.status, StatusCode::OK);
    let mut document = metadata(&servers.foreign);
    document["introspection_endpoint"] = json!(servers.foreign.url("/moved"));
    servers.foreign.answer(METADATA, Answer::json(&document));
    servers.foreign.answer("/moved", active(&json!({})));
    servers.foreign.answer(ENDPOINT, Answer::status(404));
    servers.ran.store(0, Ordering::SeqCst);
    servers.pass(10);
    for _ in 0..2 {
        servers.undecided(&servers.show("t").await, "moved");
    }
    servers.pass(19);
    servers.undecided(&servers.show("t").await, "moved");
    assert_eq!(servers.foreign.asked(METADATA), 1);
    servers.pass(1);
    // What is known is used until the search is over.
    servers.undecided(&servers.show("t").await, "moved");
    while servers.show("t").await.status != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((servers.foreign.asked(METADATA), servers.foreign.asked("/moved")), (2, 1));
}

#[tokio::test]
async fn an_endpoint_that_was_not_there_yet_is_found_soon() {
    for missing in [
        json!({"introspection_endpoint": null}),
        json!({"introspection_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    ] {
        let servers = servers().await;
        let (whole, mut part) = (metadata(&servers.foreign), metadata(&servers.foreign));
        part.as_object_mut().unwrap().extend(missing.as_object().unwrap().clone());
        servers.foreign.answer(METADATA, Answer::json(&part));
        servers.undecided(&servers.show("t").await, "nothing there");
        servers.foreign.answer(METADATA, Answer::json(&whole));
        servers.pass(4);
        servers.undecided(&servers.show("t").await, "too soon");
        assert_eq!(servers.foreign.asked(METADATA), 1);
        servers.pass(1);
        assert_eq!(servers.show("t").await.status, StatusCode::OK, "{missing}");
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_keeps_nobody_waiting() {
    let servers = servers().await;
    assert_eq!(servers.show("t").await.status, StatusCode::OK);
    let slow =
        Answer { delay: Duration::from_secs(60), ..Answer::json(&metadata(&servers.foreign)) };
    servers.foreign.answer(METADATA, slow);
    servers.foreign.answer(ENDPOINT, active(&json!({"exp": NOW + 10_000})));
    servers.pass(3600);
    let all = join_all((0..200).map(async |n| servers.show(&format!("t{n}")).await.status));
    let all = tokio::time::timeout(Duration::from_secs(4), all).await.unwrap();
    assert!(all.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(servers.foreign.asked(METADATA), 2);
}
