//! The bytes of a whole flow, compared with a recorded transcript: a restructuring changes none of them.
//!
//! Where a change of the wire is meant, `INSTA_UPDATE=always cargo test -p tests --test whole_flow wire` records it
//! anew, and the difference is part of the review.

use crate::*;

#[test]
fn the_wire_is_the_recorded_one() {
    let (world, mut client) = (world(), Client::default());
    // Refusal, discovery, registration, login; a step-up; a refresh; a grant that has ended.
    world.call(&mut client, "list-files").unwrap();
    world.call(&mut client, "write-file").unwrap();
    world.advance(601);
    world.call(&mut client, "list-files").unwrap();
    world.advance(200 * 24 * 60 * 60);
    world.call(&mut client, "list-files").unwrap();
    refusals(&world);
    insta::assert_snapshot!(world.wire());
}

/// Requests that are refused, in the order of the checks of the token and registration endpoints.
fn refusals(world: &World) {
    let (_, request) = login_until_token(world);
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    let id =
        FormPairs::parse(body.as_bytes()).unwrap().value("client_id").unwrap().unwrap().to_owned();
    let mut get = request.clone();
    *get.method_mut() = Method::GET;
    world.answer(&get);
    let mut plain = request.clone();
    plain.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    world.answer(&plain);
    for pairs in [
        &[("client_id", id.as_str())][..],
        &[("client_id", &id), ("client_id", &id)],
        &[("grant_type", "password"), ("client_id", &id)],
        &[("grant_type", "authorization_code"), ("client_id", "nobody"), ("code", "x")],
        &[("grant_type", "client_credentials"), ("client_id", &id)],
        &[("grant_type", "authorization_code"), ("client_id", &id)],
        &[("grant_type", "authorization_code"), ("client_id", &id), ("code", "x")],
        &[("grant_type", "refresh_token"), ("client_id", &id)],
        &[("grant_type", "refresh_token"), ("client_id", &id), ("refresh_token", "x")],
    ] {
        post(world, pairs);
    }
    for change in ["&redirect_uri=http://127.0.0.1/other", "&resource=https://rs.example/other"] {
        let mut changed = request.clone();
        let name = change[1..].split_once('=').unwrap().0;
        let others = body.split('&').filter(|pair| !pair.starts_with(name));
        *changed.body_mut() = Bytes::from(others.collect::<Vec<_>>().join("&") + change);
        world.answer(&changed);
    }
    world.answer(&request);
    world.answer(&request);
    for body in ["{", "{}", r#"{"redirect_uris":["javascript:alert(1)"]}"#] {
        let mut register = Request::post("https://as.example/register").body(body.into()).unwrap();
        register.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        world.answer(&register);
    }
}
