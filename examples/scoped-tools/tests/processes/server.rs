//! A process that serves, until it is killed.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

/// How a server is started, each time the same.
pub(crate) struct Setup {
    store: String,
    mcp_port: u16,
    authorization_port: u16,
}

impl Setup {
    /// Two free ports. What is stored is in `store`, as the command line has it.
    pub(crate) fn new(store: String) -> Self {
        Self { store, mcp_port: free_port(), authorization_port: free_port() }
    }

    pub(crate) fn mcp_url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.mcp_port)
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.authorization_port)
    }

    /// Starts a server, and waits until it serves.
    pub(crate) fn start(&self) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_scoped-tools"))
            .args(["serve", "--store", &self.store])
            .args(["--mcp-port", &self.mcp_port.to_string()])
            .args(["--authorization-port", &self.authorization_port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = lines.any(|line| line.unwrap().starts_with("Point any MCP client"));
        assert!(is_ready, "the server did not start");
        Server(process)
    }
}

/// A server that runs until it is killed, or dropped.
pub(crate) struct Server(Child);

impl Server {
    /// SIGKILL: it cannot finish anything.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // If either fails, it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that no connection takes while the server is away: those are given the ports above.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let first = 10_000 + u16::try_from(random() % 20_000).unwrap();
    (first..32_000).find(is_free).expect("a free port")
}

/// Something else each time.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_be_bytes(bytes)
}
