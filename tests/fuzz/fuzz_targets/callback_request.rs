//! A request to the loopback port means the same however it is cut, and only this login's callback ends the wait.

#![no_main]

use client_flow::{CallbackListener, CallbackRequest};
use libfuzzer_sys::fuzz_target;
use oauth_types::{Entropy, RedirectUri, State};

fuzz_target!(|input: (&[u8], u8)| {
    let (bytes, size) = input;
    let state = State::new(Entropy::new([7; 32]));
    let sent = state.as_secret().expose().to_owned();
    // So that the state is guessed at once.
    let bytes = String::from_utf8_lossy(bytes).replace("STATE", &sent).into_bytes();
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
    let login = CallbackListener::new(redirect_uri, &state);
    let read = |size: usize| {
        let mut request = CallbackRequest::default();
        let is_complete = bytes.chunks(size).any(|piece| request.push(piece));
        let heard = request.answer(Some(&login));
        (is_complete, heard.reply(), heard.callback())
    };
    let (is_complete, reply, callback) = read(usize::from(size).max(1));
    assert_eq!((is_complete, reply, callback.clone()), read(bytes.len().max(1)));
    if let Some(callback) = callback {
        assert!(callback.starts_with("http://127.0.0.1/cb?") && callback.contains(&sent));
        assert!(reply.starts_with("HTTP/1.1 200 ") && !reply.contains(&sent));
    }
});
