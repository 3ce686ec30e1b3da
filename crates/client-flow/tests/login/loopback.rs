//! What may end the wait for a browser.

use client_flow::{Heard, Visit, login};

use crate::world::*;

fn visit() -> Box<Visit> {
    World::new().until_user(login(config(), MCP, None, None).unwrap()).unwrap().unwrap()
}

fn hear(visit: &Visit, target: &str, hosts: &[&str]) -> Heard {
    let hosts: String = hosts.iter().map(|host| format!("HOST: {host}\r\n")).collect();
    visit.hear(format!("GET {target} HTTP/1.1\r\nAccept: */*\r\n{hosts}\r\n").as_bytes())
}

#[test]
fn sec_025_c_authz_5_only_this_logins_callback_ends_the_wait() {
    let visit = visit();
    let state = query(visit.url(), "state").unwrap();
    let ours = format!("/cb?code=c&state={state}&iss=https%3A%2F%2Fas.example");
    let heard = hear(&visit, &ours, &["127.0.0.1"]);
    assert!(heard.reply().starts_with("HTTP/1.1 200 "));
    assert_eq!(heard.callback().unwrap(), format!("http://127.0.0.1{ours}"));
    for (target, status) in [
        ("/favicon.ico", "404"),
        ("/", "404"),
        ("/cb", "404"),
        ("/cb2?code=c", "404"),
        ("/cb/?code=c", "404"),
        ("//evil.example/cb?code=c", "404"),
        ("http://127.0.0.1/cb?code=c", "404"),
        ("/cb?", "400"),
        ("/cb?code=c", "400"),
        ("/cb?code=c&state=guessed", "400"),
        (&*format!("/cb?state={state}&state={state}"), "400"),
        (&*format!("/cb?code=c&state={state}x"), "400"),
        (&*format!("/cb?state={state} HTTP/1.1 x"), "404"),
    ] {
        let heard = hear(&visit, target, &["127.0.0.1"]);
        assert!(heard.reply().starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {heard:?}");
        assert_eq!(heard.callback(), None, "{target}");
    }
    for head in
        ["", "\r\n\r\n", "GET /cb", "\u{0}", "POST /cb?a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
    {
        assert_eq!(visit.hear(head.as_bytes()).callback(), None, "{head:?}");
    }
    assert_eq!(visit.hear(&[0xFF; 99]).callback(), None);
}

#[test]
fn sec_250_long_heads_and_requests_between_logins_are_answered_by_a_page() {
    let visit = visit();
    let state = query(visit.url(), "state").unwrap();
    let cookies = format!("Cookie: a={}\r\n", "x".repeat(20_000));
    let head = format!("GET /cb?code=c&state={state} HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookies}\r\n");
    assert!(head.len() < Visit::MAX_HEAD);
    // By the visit, or by what a task of its own holds of it.
    assert!(visit.hear(head.as_bytes()).is_callback());
    assert!(visit.callback_listener().hear(head.as_bytes()).is_callback());
    for (heard, status, says) in [
        (Heard::too_long(), "431", "Delete the cookies"),
        (Heard::no_login(), "410", "you can close this page"),
    ] {
        assert!(heard.reply().starts_with(&format!("HTTP/1.1 {status} ")), "{heard:?}");
        assert!(heard.reply().split_once("\r\n\r\n").unwrap().1.contains(says));
        assert_eq!(heard.callback(), None);
    }
}

#[test]
fn sec_024_a_request_for_another_host_is_refused_whatever_it_knows() {
    let visit = visit();
    let ours = format!("/cb?code=c&state={}", query(visit.url(), "state").unwrap());
    for hosts in [
        &["evil.example"][..],
        &["127.0.0.1.evil.example"],
        &["127.0.0.1:1"],
        &["localhost"],
        &[],
        &["127.0.0.1", "evil.example"],
        &["127.0.0.1", "127.0.0.1"],
    ] {
        let heard = hear(&visit, &ours, hosts);
        assert!(heard.reply().starts_with("HTTP/1.1 403 "), "{hosts:?}");
        assert_eq!(heard.callback(), None, "{hosts:?}");
    }
}

#[test]
fn sec_026_no_page_reflects_anything() {
    let visit = visit();
    let state = query(visit.url(), "state").unwrap();
    for state in [&*state, "guessed"] {
        let target = format!("/cb?error=x&error_description=%3Cscript%3Ecanary&state={state}");
        let heard = hear(&visit, &target, &["127.0.0.1"]);
        let reply = heard.reply();
        assert!(!reply.contains("canary") && !reply.contains(state));
        for header in ["default-src 'none'", "Referrer-Policy: no-referrer", "no-store"] {
            assert!(reply.contains(header), "{header}");
        }
    }
}
