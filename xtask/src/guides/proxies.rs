//! The blocks of the page `behind_a_proxy`, in front of both servers: a client logs in through nginx, and through Caddy.

use std::process::Command;

use xshell::{Shell, cmd};

use super::with_log;
use crate::examples::free_ports;
use crate::process::Running;
use crate::workspace::{Error, Workspace, announce};

const PAGE: &str = "crates/mcp-authz/src/guide/behind_a_proxy.md";
/// Name of the host on the page.
const HOST: &str = "host.example";
/// Addresses of the authorization server and of the MCP server on the page.
const ADDRESSES: [&str; 2] = ["127.0.0.1:8001", "127.0.0.1:8000"];

/// Proxy with a block on the page.
struct Proxy {
    /// Program by its name, and by the path at which Debian has it if the search path lacks that folder.
    programs: [&'static str; 2],
    args: &'static [&'static str],
    /// Beginning of the block, after its fence.
    begins: &'static str,
    /// Text that asks for TLS, and the text in its place, where `PORT` stands for the port.
    tls: [&'static str; 2],
    /// Lines before and after the block.
    around: [&'static str; 2],
}

const PROXIES: [Proxy; 2] = [
    Proxy {
        programs: ["nginx", "/usr/sbin/nginx"],
        args: &["-e", "stderr", "-p", "./", "-c", "config"],
        begins: "nginx\nserver {",
        tls: ["listen 443 ssl;", "listen 127.0.0.1:PORT;"],
        // One process, so that killing it leaves nothing behind.
        around: [
            "daemon off; master_process off; pid nginx.pid; events {}\nhttp {\naccess_log off;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n",
            "}\n",
        ],
    },
    Proxy {
        programs: ["caddy", "/usr/bin/caddy"],
        args: &["run", "--config", "config", "--adapter", "caddyfile"],
        begins: "text\nhost.example {",
        tls: ["host.example {", "http://host.example:PORT {"],
        around: ["{\nadmin off\nauto_https off\n}\n", ""],
    },
];

/// Logs in at both servers through each proxy, configured as on the page.
pub(super) fn run(workspace: &Workspace) -> Result<(), Error> {
    let page = workspace.sh.read_file(PAGE)?;
    for (proxy, port) in PROXIES.iter().zip(free_ports()?) {
        let name = proxy.programs[0];
        announce(&format!("{name} as on the page behind_a_proxy"));
        check(workspace, proxy, &page, port).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn check(workspace: &Workspace, proxy: &Proxy, page: &str, port: u16) -> Result<(), Error> {
    let (sh, user) = (&workspace.sh, workspace.example("guides"));
    let url = format!("http://127.0.0.1:{port}");
    let mut servers = Running::start(cmd!(sh, "{user} behind {url}").into())?;
    let addresses = [servers.wait_for("authorization server:")?, servers.wait_for("MCP server:")?];

    let config = configuration(proxy, page, port, &addresses)?;
    let folder = sh.create_temp_dir()?;
    sh.write_file(folder.path().join("config"), config)?;
    let mut command = Command::from(sh.cmd(program(sh, proxy)?).args(proxy.args));
    command.current_dir(folder.path()).env("HOME", folder.path());

    let issuer = format!("{url}/auth");
    let metadata = format!("{url}/.well-known/oauth-authorization-server/auth");
    let issuer_member = format!("\"issuer\":\"{issuer}\"");
    let mcp = format!("{url}/mcp");
    with_log(command, |_| {
        cmd!(sh, "{user} get {metadata} {issuer_member}").quiet().run()?;
        cmd!(sh, "{user} refused {mcp} {issuer}").quiet().run()?;
        cmd!(sh, "{user} call {mcp} 1 hello").args(["{}", "hello from"]).quiet().run()?;
        Ok(())
    })
}

/// Returns the block of the page, with this port in place of TLS and with these addresses of the servers.
fn configuration(
    proxy: &Proxy,
    page: &str,
    port: u16,
    addresses: &[String; 2],
) -> Result<String, Error> {
    let block = page.split("```").find(|block| block.starts_with(proxy.begins));
    let (_, block) =
        block.and_then(|block| block.split_once('\n')).ok_or("no block on the page")?;
    let [tls, plain] = proxy.tls;
    let mut block = block.replace(tls, &plain.replace("PORT", &port.to_string()));
    for (shown, real) in ADDRESSES.iter().zip(addresses) {
        block = block.replace(shown, real);
    }
    let [before, after] = proxy.around;
    Ok(format!("{before}{}{after}", block.replace(HOST, "127.0.0.1")))
}

/// Returns the program that is installed.
fn program(sh: &Shell, proxy: &Proxy) -> Result<&'static str, Error> {
    let is_there = |program: &&str| {
        let version = if program.ends_with("nginx") { "-v" } else { "version" };
        cmd!(sh, "{program} {version}").quiet().ignore_stdout().ignore_stderr().run().is_ok()
    };
    let found = proxy.programs.into_iter().find(|program| is_there(program));
    Ok(found.ok_or("it is missing: `.ci/run` installs it")?)
}
