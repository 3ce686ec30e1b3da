//! SIGTERM, as service managers and container runtimes send it: what is being answered is answered, then the end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use crate::server::Setup;

#[test]
fn sigterm_ends_a_server_once_it_has_answered() {
    let setup = Setup::new(vec!["--store".to_owned(), "memory".to_owned()]);
    let server = setup.start();
    let authorization = setup.authorization_at();
    let address = authorization.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: {address}\r\nContent-Length: 4\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\na=",
    );
    stream.write_all(head.as_bytes()).unwrap();
    sleep(Duration::from_millis(300));
    server.terminate();
    sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(address).is_err(), "it takes no more connections");
    stream.write_all(b"bc").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(server.wait(), "it ended in order");
}
