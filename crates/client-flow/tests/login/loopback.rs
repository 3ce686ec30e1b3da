//! What may end the wait for a browser.

use client_flow::{BrowserRequest, CallbackListener, CallbackRequest, Heard, login};
use oauth_types::{Entropy, RedirectUri, State};
use proptest::prelude::*;

use crate::world::*;

fn visit() -> Box<BrowserRequest> {
    World::new().until_user(login(config(), MCP, None, None).unwrap()).unwrap().unwrap()
}

fn hear(visit: &BrowserRequest, target: &str, hosts: &[&str]) -> Heard {
    let hosts: String = hosts.iter().map(|host| format!("HOST: {host}\r\n")).collect();
    visit.hear(format!("GET {target} HTTP/1.1\r\nAccept: */*\r\n{hosts}\r\n").as_bytes())
}

/// SEC-025, C-AUTHZ-5
#[test]
fn only_this_logins_callback_ends_the_wait() {
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

/// SEC-250
#[test]
fn long_heads_and_stray_requests_are_answered_by_a_page() {
    let visit = visit();
    let state = query(visit.url(), "state").unwrap();
    let cookies = format!("Cookie: a={}\r\n", "x".repeat(20_000));
    let head = format!("GET /cb?code=c&state={state} HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookies}\r\n");
    assert!(head.len() < BrowserRequest::MAX_HEAD);
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

/// SEC-024
#[test]
fn a_request_for_another_host_is_refused_whatever_it_knows() {
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

/// SEC-026
#[test]
fn no_page_reflects_anything() {
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

/// A login, and the head of the request that is its callback.
fn waiting() -> (CallbackListener, String) {
    let state = State::new(Entropy::new([7; 32]));
    let listener =
        CallbackListener::new(RedirectUri::parse("http://127.0.0.1/cb").unwrap(), &state);
    let query = format!("code=c&state={}", state.as_secret().expose());
    (listener, format!("GET /cb?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
}

/// What a listener sees of these pieces: whether the request is complete, and the answers.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (bool, String, Option<String>, String) {
    let mut request = CallbackRequest::default();
    let is_complete = pieces.into_iter().any(|piece| request.push(piece));
    let heard = request.answer(Some(&waiting().0));
    let otherwise = request.answer(None).reply().to_owned();
    (is_complete, heard.reply().to_owned(), heard.callback(), otherwise)
}

/// SEC-025
#[test]
fn what_follows_the_head_of_a_callback_changes_nothing() {
    let head = waiting().1;
    for more in ["", "\r\n", "Host: evil.example\r\n\r\n", "body"] {
        let (is_complete, reply, callback, _) = read([format!("{head}{more}").as_bytes()]);
        assert!(is_complete && reply.starts_with("HTTP/1.1 200 "), "{more:?}: {reply}");
        assert!(callback.is_some());
    }
    // A head that is not complete is no callback, whatever it has brought.
    for missing in 1..=4 {
        let (is_complete, reply, callback, _) = read([&head.as_bytes()[..head.len() - missing]]);
        assert!(!is_complete && reply.is_empty() && callback.is_none(), "{missing}: {reply}");
    }
    let mut request = CallbackRequest::default();
    request.push(head.as_bytes());
    assert!(!format!("{request:?}").contains("code"));
}

/// SEC-250
#[test]
fn a_long_head_is_read_to_its_end_or_to_the_limit() {
    let head = waiting().1;
    let filled = |length: usize| {
        let cookie = "Cookie: ";
        let fill = "x".repeat(length - head.len() - cookie.len() - 2);
        head.replace("\r\n\r\n", &format!("\r\n{cookie}{fill}\r\n\r\n"))
    };
    for (length, status) in [
        (BrowserRequest::MAX_HEAD, "200"),
        (BrowserRequest::MAX_HEAD + 1, "431"),
        (CallbackRequest::MAX_READ - 1, "431"),
        (CallbackRequest::MAX_READ, "431"),
    ] {
        let head = filled(length);
        assert_eq!(head.len(), length);
        for size in [1, 1000, length] {
            let (is_complete, reply, callback, otherwise) = read(head.as_bytes().chunks(size));
            assert!(is_complete && reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
            assert_eq!(callback.is_some(), status == "200");
            // The user is told what is wrong, also where no login waits.
            assert_eq!(otherwise.starts_with("HTTP/1.1 431 "), status == "431");
        }
        assert!(!read([&head.as_bytes()[..length - 1]]).0, "it goes on");
    }
    let endless = vec![b'x'; CallbackRequest::MAX_READ];
    assert!(!read([&endless[1..]]).0);
    assert!(read([&endless[..]]).1.starts_with("HTTP/1.1 431 "));
}

proptest! {
    /// SEC-025
    #[test]
    fn any_split_of_a_request_gives_the_same_answer(
        parts in prop::collection::vec(
            prop_oneof![
                Just(waiting().1.into_bytes()),
                Just(b"GET /cb?code=c HTTP/1.1\r\n".to_vec()),
                Just(b"Host: 127.0.0.1\r\n".to_vec()),
                Just(b"\r\n".to_vec()),
                Just(b"\r".to_vec()),
                Just(b"\n".to_vec()),
                prop::collection::vec(any::<u8>(), 0..20),
            ],
            0..8,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = parts.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        let whole = read([&bytes[..]]);
        prop_assert_eq!(&read(pieces), &whole);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
        // The first empty line ends the head.
        prop_assert_eq!(whole.0, bytes.windows(4).any(|end| end == b"\r\n\r\n"));
    }
}
