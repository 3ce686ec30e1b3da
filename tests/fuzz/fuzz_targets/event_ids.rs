//! The identifiers of an event stream are sealed alike however it is cut into pieces; each opens to what the service wrote,
//! and nothing else changes.

#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use oauth_types::{Entropy, ResourceUri};
use resource_server::{HandleSeal, SessionKey};

const TAG: usize = 25;

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let key = SessionKey::new(Entropy::new([7; 32]));
    let seal = HandleSeal::new(&key, &ResourceUri::parse("https://rs.example/mcp").unwrap());
    let stream = pieces.concat();
    let mut ids = seal.event_ids(None);
    let cut: Vec<u8> = pieces.into_iter().flat_map(|piece| ids.seal(piece.into())).collect();
    let whole = seal.event_ids(None).seal(Bytes::from(stream.clone()));
    assert_eq!(whole, cut);
    // Line by line: a line is as it was, or has a seal behind it that opens to the identifier.
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let (mut before, mut after) = (stream.split(is_end), whole.split(is_end));
    loop {
        let (before, after) = match (before.next(), after.next()) {
            (Some(before), Some(after)) => (before, after),
            (None, None) => break,
            _ => panic!("lines were added or lost"),
        };
        if before == after {
            continue;
        }
        assert_eq!(after.len(), before.len() + TAG);
        assert!(after.starts_with(before));
        let id = before.strip_prefix(b"\xef\xbb\xbf").unwrap_or(before);
        let from = if id.starts_with(b"id: ") { 4 } else { 3 };
        let at = before.len() - id.len() + from;
        let Ok(sealed) = HeaderValue::from_bytes(&after[at..]) else { continue };
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", sealed);
        seal.open_event(&mut headers, None).unwrap();
        assert_eq!(headers["last-event-id"].as_bytes(), &id[from..]);
    }
});
