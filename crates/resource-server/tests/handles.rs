//! Sealed handles, and the identifiers of an event stream however it comes in pieces.

#![cfg(test)]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use oauth_types::{Entropy, ResourceUri, UnixTime};
use resource_server::{
    DenialReason, EventIds, HandleSeal, NamedSession, OpenSessions, Requirement, SessionKey,
};

fn seal_of(key: u8, resource: &str) -> HandleSeal {
    let key = SessionKey::new(Entropy::new([key; 32]));
    HandleSeal::new(&key, &ResourceUri::parse(resource).unwrap())
}

fn seal() -> HandleSeal {
    seal_of(7, "https://rs.example/mcp")
}

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn sealed_session(id: &str) -> String {
    let mut headers = headers("mcp-session-id", &[id]);
    seal().seal_session(&mut headers, None);
    headers["mcp-session-id"].to_str().unwrap().to_owned()
}

/// SEC-225
#[test]
fn a_handle_opens_whole_and_by_its_key_resource_and_kind_only() {
    for id in ["s", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a.b", "with space", "."] {
        let sealed = sealed_session(id);
        assert_eq!(sealed.len(), id.len() + 25);
        let mut own = headers("mcp-session-id", &[&sealed]);
        assert_eq!(seal().session_without_token(&own), NamedSession::WithoutToken);
        seal().open_session(&mut own, None).unwrap();
        assert_eq!(own["mcp-session-id"], id);
        let others = [
            seal_of(8, "https://rs.example/mcp"),
            seal_of(7, "https://rs.example/other"),
            HandleSeal::without_key(),
        ];
        for other in others {
            let mut own = headers("mcp-session-id", &[&sealed]);
            assert_eq!(other.session_without_token(&own), NamedSession::Foreign);
            let denial = other.open_session(&mut own, None).unwrap_err();
            assert_eq!(denial.reason(), DenialReason::ForeignSession);
            assert_eq!(denial.into_response().status(), StatusCode::NOT_FOUND);
        }
        let denial = seal().open_event(&mut headers("last-event-id", &[&sealed]), None);
        assert_eq!(denial.unwrap_err().reason(), DenialReason::ForeignEvent);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] ^= 1;
            let cut = [&sealed[..at], &sealed[at + 1..], &sealed[at..][1..]];
            let forged = String::from_utf8(forged).unwrap();
            for bad in cut.into_iter().chain([&*forged]) {
                let mut bad = headers("mcp-session-id", &[bad]);
                assert!(seal().open_session(&mut bad, None).is_err(), "{bad:?}");
            }
        }
        let mut two = headers("mcp-session-id", &[&sealed, &sealed]);
        assert!(seal().open_session(&mut two, None).is_err());
    }
    // Without a key nothing is let out that could not come back.
    let mut headers = headers("mcp-session-id", &["s"]);
    HandleSeal::without_key().seal_session(&mut headers, None);
    assert!(headers.is_empty());
    assert_eq!(
        format!("{:?} {:?}", seal(), SessionKey::new(Entropy::new([1; 32])))
            .matches("redacted")
            .count(),
        2
    );
}

/// What processes of one resource seal for each other. Computed with Python's `hmac`, by the formulas of RFC 5869.
#[test]
fn a_sealed_session_is_what_it_always_was() {
    assert_eq!(sealed_session("s"), "s.RkQmoixy-Dyc2FL3tKKA23UO");
}

/// The stream in pieces of these lengths, over and over.
fn passed(ids: &mut EventIds, stream: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut rest = stream;
    let mut out = Vec::new();
    for &length in lengths.iter().cycle() {
        let (piece, later) = rest.split_at(length.min(rest.len()));
        out.extend_from_slice(&ids.seal(Bytes::copy_from_slice(piece)));
        rest = later;
        if rest.is_empty() {
            return out;
        }
    }
    out
}

/// What a client makes of a stream: the values of its `id` fields, as HTML §9.2.6 has it.
fn read(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream));
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let ids = complete.split('\n').filter_map(|line| line.strip_prefix("id:"));
    ids.map(|id| id.strip_prefix(' ').unwrap_or(id).to_owned()).collect()
}

const STREAMS: [&[u8]; 9] = [
    b"id: 1/0\ndata: {\"id\": 1}\n\nid:2/0\ndata:\n\n",
    b"\xef\xbb\xbfid: first\r\ndata: x\r\n\r\nid: second\r\rdata: id: no\r\rid:  two spaces\n\n",
    b"id\nid:\nid: \nidx: no\n id: no\nID: no\ndata:id: no\nretry: 3\n: id: no\nid:yes\n",
    b"\xef\xbb\xbf\xef\xbb\xbfid: no\nid: yes\n",
    b"\xef\xbbid: no\n\xef\xbb\xbfid: no\n",
    b"data: a\ndata: b\nid: a.b.c d\nevent: e\n\n\n\n\nid: unfinished",
    b"iid: no\niid:no\nidid: no\nid :no\nid: \xc3\xa9\n",
    b"",
    b"\r\n\r\n\rid: x\r",
];

/// SEC-225: all else passes byte for byte.
#[test]
fn event_ids_are_sealed_however_the_stream_is_cut() {
    for stream in STREAMS {
        let whole = passed(&mut seal().event_ids(None), stream, &[usize::MAX]);
        for lengths in [&[1][..], &[2], &[3], &[5], &[7, 1], &[0, 1, 13], &[64]] {
            assert_eq!(passed(&mut seal().event_ids(None), stream, lengths), whole, "{lengths:?}");
        }
        let (plain, sealed) = (read(stream), read(&whole));
        assert_eq!(plain.len(), sealed.len());
        let mut left = whole.clone();
        for (id, sealed) in plain.iter().zip(&sealed) {
            if id.is_empty() {
                assert_eq!(sealed, "", "what clears the last identifier stays empty");
                continue;
            }
            let tag = sealed.strip_prefix(id.as_str()).unwrap();
            assert_eq!(tag.len(), 25, "{sealed}");
            let at = left.windows(25).position(|part| part == tag.as_bytes()).unwrap();
            left.drain(at..at + 25);
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", HeaderValue::from_bytes(sealed.as_bytes()).unwrap());
            seal().open_event(&mut headers, None).unwrap();
            assert_eq!(headers["last-event-id"].as_bytes(), id.as_bytes());
        }
        assert_eq!(left, stream, "nothing else was changed");
    }
}

#[test]
fn a_piece_without_an_identifier_is_not_copied() {
    let mut ids = seal().event_ids(None);
    for piece in [&b"data: x\n\n"[..], b"id: half", b"data"] {
        let piece = Bytes::from_static(piece);
        let sealed = ids.seal(piece.clone());
        assert_eq!((sealed.as_ptr(), sealed.len()), (piece.as_ptr(), piece.len()));
    }
}

/// SEC-232: a session that has to make room is told and forgotten.
#[test]
fn all_sessions_together_are_bounded() {
    let (start, id) = (UnixTime::from_secs(1000), |at: usize| -> HeaderValue { at.into() });
    let later = |seconds: u64| UnixTime::from_secs(1000 + seconds);
    let uri = Uri::from_static("https://rs.example/mcp?x");
    let mut open = OpenSessions::new(30);
    for at in 0..100 {
        let ended = open.opened(&id(at), &uri, None, start).unwrap();
        assert_eq!(ended.map(|ended| ended.id), at.checked_sub(3).map(id), "{at}");
    }
    assert_eq!(format!("{open:?}"), "OpenSessions(3 of 30)");
    // A session that is known is not counted twice, and one that was used stays.
    assert!(open.opened(&id(97), &uri, None, later(1)).unwrap().is_none());
    assert_eq!(open.opened(&id(200), &uri, None, later(2)).unwrap().unwrap().id, id(98));
    // Only the place where it was opened can say that it is over.
    open.closed(&id(97), &Uri::from_static("/other"));
    assert!(open.touch(&id(97), later(2)));
    open.closed(&id(97), &uri);
    assert!(!open.touch(&id(97), later(3)) && open.touch(&id(200), later(3)));
    assert!(open.opened(&id(201), &uri, None, later(3)).unwrap().is_none());
    open.release(&open.clone().reserve(None, later(3)).unwrap());
    // Places that are reserved count as sessions, for their user and in all, and are given back.
    let mut open = OpenSessions::new(30);
    let places: Vec<_> = (0..3).map(|_| open.reserve(None, start).unwrap()).collect();
    let refused = open.reserve(None, start).unwrap_err();
    assert_eq!(refused.reason(), DenialReason::TooManySessions);
    assert!(open.opened(&id(0), &uri, None, start).is_err() && open.check_reserved(None).is_err());
    for (at, place) in places.iter().enumerate() {
        open.release(place);
        assert!(open.opened(&id(at), &uri, None, start).unwrap().is_none());
    }
    open.check_reserved(None).unwrap();
    // Each place that is reserved takes another one of the sessions that may go.
    let reserved = (0..10).filter(|_| open.reserve(None, later(3)).is_ok()).count();
    assert_eq!(reserved, 3);
}

#[test]
fn the_request_that_opens_a_session_is_known_by_its_body() {
    let none = HeaderMap::new();
    let opens =
        |headers: &HeaderMap, body: &str| Requirement::opens_session(headers, body.as_bytes());
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"initialize"}]"#,
    ] {
        assert!(opens(&none, body), "{body}");
        assert!(!opens(&headers("mcp-session-id", &["x"]), body), "{body}");
    }
    for body in [
        "",
        "initialize",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"initialize"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    ] {
        assert!(!opens(&none, body), "{body}");
    }
}
