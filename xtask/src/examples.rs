//! Example clients without tokio, against the servers of `scoped-tools`.
//!
//! The servers run as one process, or as two processes behind one issuer.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use cluster::Cluster;
use xshell::cmd;

use crate::deps;
use crate::process::Running;
use crate::workspace::{Error, Workspace, announce, none_of};

/// Example clients, each with the crates that it must not depend on.
const CLIENTS: &[(&str, &[&str])] = &[
    (
        "blocking-client",
        &["async-executor", "async-io", "async-std", "futures-executor", "smol", "tokio"],
    ),
    ("smol-client", &["async-std", "futures-executor", "tokio-util"]),
];

/// One run of a client.
struct Case {
    /// Arguments; `MCP` stands for the URL of the MCP server.
    args: &'static [&'static str],
    denies: bool,
    visits: usize,
    /// Part of the output on success, or of the error message on failure.
    says: Result<&'static str, &'static str>,
}

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
const WRITE_FILE: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
    "name": "write-file", "arguments": {"name": "notes.txt", "content": "abc"}, "_meta": {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {}}}}"#;

#[rustfmt::skip]
const LOGINS: &[Case] = &[
    Case { args: &["MCP"], denies: false, visits: 1, says: Ok("\"list-files\"") },
    // A login for the base scope, then a step-up.
    Case { args: &["MCP", WRITE_FILE], denies: false, visits: 2, says: Ok(", 3 bytes") },
    Case { args: &["MCP"], denies: true, visits: 1, says: Err("access_denied") },
];

#[rustfmt::skip]
const MISTAKES: &[Case] = &[
    Case { args: &[], denies: false, visits: 0, says: Err("usage: ") },
    Case { args: &["MCP", ANSWER], denies: false, visits: 0, says: Err("nothing is asked for") },
    Case { args: &["MCP", "[]"], denies: false, visits: 0, says: Err("is not a JSON-RPC message") },
    Case { args: &["ftp://mcp.example"], denies: false, visits: 0, says: Err("is not https") },
    Case { args: &["http://127.0.0.1:1/mcp"], denies: false, visits: 0, says: Err("the connection was refused") },
];

pub(crate) fn run(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    let mut findings = Vec::new();
    for (client, refused) in CLIENTS {
        let built = deps::closure_of(sh, client, deps::Features::Default)?;
        let refused = refused.iter().filter(|name| built.contains(**name));
        findings.extend(refused.map(|name| format!("{client} builds {name}")));
    }
    // tokio's channels are allowed: hyper always builds them, and they work without its runtime.
    let format = "{f}";
    let tokio =
        cmd!(sh, "cargo tree --locked -p smol-client -e normal -i tokio --depth 0 -f {format}");
    if tokio.quiet().read()?.split(',').any(|feature| !matches!(feature, "default" | "sync")) {
        findings.push("smol-client builds more of tokio than its channels".to_owned());
    }
    none_of(&findings)?;
    workspace.build_programs()?;
    let (_server, url) = serve(workspace, &[])?;
    check_all(workspace, "scoped-tools", &url, LOGINS)?;
    check_all(workspace, "scoped-tools", &url, MISTAKES)
}

/// Runs the clients against `examples/two-processes` and a PostgreSQL server.
///
/// The proxy sends each request of a login to the other process.
pub(crate) fn two_processes(workspace: &Workspace) -> Result<(), Error> {
    let sh = &workspace.sh;
    workspace.build_programs()?;
    let [server, proxy] = ["scoped-tools", "two-processes"].map(|name| workspace.program(name));
    let cluster = Cluster::start()?;
    let folder = sh.create_temp_dir()?;
    let keys = folder.path().join("server.keys");
    let [mcp, authorization, ports @ ..] = free_ports()?;
    let (url, issuer) =
        (format!("http://127.0.0.1:{mcp}/mcp"), format!("http://127.0.0.1:{authorization}"));
    let [one_mcp, one, other_mcp, other] = ports.map(|port| port.to_string());
    let store = cluster.url();
    let start = |mcp: &str, authorization: &str| -> Result<Running, Error> {
        let ports = ["--mcp-port", mcp, "--authorization-port", authorization];
        let public = ["--mcp-url", &*url, "--issuer", &*issuer];
        let command = cmd!(sh, "{server} serve {ports...}");
        let command = command.args(public).args(["--store", &*store, "--server-keys"]).arg(&keys);
        let mut server = Running::start(command.into())?;
        server.wait_for("MCP server:")?;
        Ok(server)
    };
    let _servers = [start(&one_mcp, &one)?, start(&other_mcp, &other)?];
    let fronts = [format!("{mcp}={one_mcp},{other_mcp}"), format!("{authorization}={one},{other}")];
    let command = cmd!(sh, "{proxy} {fronts...}");
    let mut proxy = Running::start(command.into())?;
    proxy.wait_for("Every request")?;
    check_all(workspace, "two processes", &url, LOGINS)
}

/// Returns ports that are free at this moment.
#[expect(clippy::disallowed_methods, reason = "asks the system for ports")]
pub(crate) fn free_ports() -> Result<[u16; 6], Error> {
    let mut listeners = Vec::new();
    let mut ports = [0; 6];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Runs each case with each client.
fn check_all(workspace: &Workspace, server: &str, url: &str, cases: &[Case]) -> Result<(), Error> {
    for (client, _) in CLIENTS {
        announce(&format!("{client} against {server}"));
        for case in cases {
            let args: Vec<&str> =
                case.args.iter().map(|&arg| if arg == "MCP" { url } else { arg }).collect();
            check(workspace, client, &args, case)
                .map_err(|error| format!("{client} {}: {error}", args.join(" ")))?;
        }
    }
    Ok(())
}

/// Starts both servers on free ports; returns the URL of the MCP server.
pub(crate) fn serve(workspace: &Workspace, more: &[&str]) -> Result<(Running, String), Error> {
    let (sh, program) = (&workspace.sh, workspace.program("scoped-tools"));
    let ports = ["--mcp-port", "0", "--authorization-port", "0"];
    let command = cmd!(sh, "{program} serve {ports...} {more...}");
    let mut server = Running::start(command.into())?;
    let url = server.wait_for("MCP server:")?;
    Ok((server, url))
}

/// Runs a client to its end and answers each consent page that it opens.
fn check(workspace: &Workspace, client: &str, args: &[&str], case: &Case) -> Result<(), Error> {
    let (sh, answerer) = (&workspace.sh, workspace.program("scoped-tools"));
    let command = cmd!(sh, "cargo run --locked --quiet -p {client} -- {args...}");
    let mut command = Command::from(command.env("RUST_BACKTRACE", "0"));
    command.stderr(Stdio::piped());
    let mut client = Running::start(command)?;
    let (mut visits, mut complaint) = (0, String::new());
    for line in BufReader::new(client.errors().ok_or("no output")?).lines() {
        let line = line?;
        if line.trim_start().starts_with("http://") {
            visits += 1;
            let url = line.trim();
            let deny = case.denies.then_some("--deny");
            cmd!(sh, "{answerer} answer {url} {deny...}").quiet().ignore_stdout().run()?;
        } else {
            complaint = complaint + &line + "\n";
        }
    }
    let (answer, status) = client.finish()?;
    let succeeded = status.success();
    let holds = match case.says {
        Ok(text) => succeeded && answer.contains(text),
        Err(text) => !succeeded && answer.is_empty() && complaint.contains(text),
    };
    if !holds || visits != case.visits {
        let was = if succeeded { "success" } else { "failure" };
        return Err(format!("{was} after {visits} visit(s)\n{answer}{complaint}").into());
    }
    Ok(())
}
