//! A process that serves, until it is killed.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

/// How a server is started, each time the same.
pub(crate) struct Setup {
    more: Vec<String>,
    mcp_port: u16,
    authorization_port: u16,
    /// The MCP server's URL, and the issuer, as clients know them.
    public: (String, String),
}

impl Setup {
    /// Two free ports, and more arguments: which store, for instance. As if a proxy stood before it, which limits rates.
    pub(crate) fn new(more: Vec<String>) -> Self {
        let [mcp_port, authorization_port] = free_ports();
        let public = (mcp_at(mcp_port), authorization_at(authorization_port));
        Self { more, mcp_port, authorization_port, public }
    }

    /// Two servers behind one issuer.
    pub(crate) fn two(more: &[String]) -> [Self; 2] {
        let Self { public, .. } = Self::new(Vec::new());
        [(); 2].map(|()| Self { public: public.clone(), ..Self::new(more.to_vec()) })
    }

    /// The MCP server's URL, as clients know it.
    pub(crate) fn mcp_url(&self) -> &str {
        &self.public.0
    }

    /// Where the MCP server is.
    pub(crate) fn mcp_at(&self) -> String {
        mcp_at(self.mcp_port)
    }

    /// Where the authorization server is.
    pub(crate) fn authorization_at(&self) -> String {
        authorization_at(self.authorization_port)
    }

    /// Starts a server, and waits until it serves.
    pub(crate) fn start(&self) -> Server {
        let (mcp_url, issuer) = &self.public;
        let mut process = Command::new(env!("CARGO_BIN_EXE_scoped-tools"))
            .arg("serve")
            .args(&self.more)
            .args(["--mcp-url", mcp_url, "--issuer", issuer])
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

    /// SIGTERM: it is asked to end.
    pub(crate) fn terminate(&self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits until it has ended by itself; `true` if that was in order.
    pub(crate) fn wait(mut self) -> bool {
        self.0.wait().unwrap().success()
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

fn mcp_at(port: u16) -> String {
    format!("http://127.0.0.1:{port}/mcp")
}

fn authorization_at(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Ports that no connection takes while the server is away: those are given the ports above.
fn free_ports() -> [u16; 2] {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let first = 10_000 + u16::try_from(random() % 20_000).unwrap();
    let mut free = (first..32_000).filter(is_free);
    [(); 2].map(|()| free.next().expect("a free port"))
}

/// Something else each time.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_be_bytes(bytes)
}
