//! Measured server, and the web on which clients publish their documents.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use authorization_server::{ClientRecord, Config, MemoryStore, ServerKey, ServerKeys, Store as _};
use axum::Router;
use client_auth::ClientAuthRecord;
use http::HeaderMap;
use http::header::COOKIE;
use mcp_authz_axum::{
    AuthorizationServer, ConnectionLimits, Login, LoginResult, LoginStatus, ProtectLayer,
    StoreVerifier, User, WebDocuments, metadata_routes, serve,
};
use oauth_types::{
    AuthMethod, ClientId, Entropy, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime,
};
use resource_server::{OperationScopes, Resource};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::good::{MACHINE, MACHINE_SECRET, REDIRECT};
use crate::{until_stopped, wire};

const ROOT: &[u8] = include_bytes!("../../../crates/mcp-authz-axum/tests/keys/root.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../../crates/mcp-authz-axum/tests/keys/site.pem");
const KEY: &[u8] = include_bytes!("../../../crates/mcp-authz-axum/tests/keys/site.key.pem");

/// Number of made-up host names that resolve to the web of this measurement.
pub(crate) const NAMES: usize = 20_000;

/// Options that differ from the defaults, because one machine plays many.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) by_local_network: usize,
    pub(crate) descriptors: u64,
}

impl Default for Options {
    fn default() -> Self {
        let by_local_network = ConnectionLimits::default().by_local_network;
        Self { by_local_network, descriptors: u64::MAX }
    }
}

impl Options {
    pub(crate) fn arguments(self, web: &str) -> Vec<String> {
        let Self { by_local_network, descriptors } = self;
        let role = ["server".to_owned(), web.to_owned()];
        role.into_iter().chain([by_local_network.to_string(), descriptors.to_string()]).collect()
    }

    pub(crate) fn read(arguments: &[&str]) -> anyhow::Result<(u16, Self)> {
        let [web, by_local_network, descriptors] = arguments else {
            anyhow::bail!("three options")
        };
        let options =
            Self { by_local_network: by_local_network.parse()?, descriptors: descriptors.parse()? };
        Ok((web.parse()?, options))
    }
}

/// Login that trusts a cookie with the name of the user.
struct ByCookie;

impl Login for ByCookie {
    async fn status(&self, headers: &HeaderMap, _: &str) -> LoginResult {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split("; "));
        let named = pairs.find_map(|pair| pair.strip_prefix("user="));
        Ok(match named.and_then(|name| Subject::parse(name).ok()) {
            Some(user) => LoginStatus::LoggedIn(User::new(user.clone(), user)),
            None => LoginStatus::Redirect("/login".to_owned()),
        })
    }
}

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(name = "write-file", description = "Writes a file")]
    fn write_file(&self) -> String {
        "67 bytes".to_owned()
    }
}

/// Serves until the input ends; prints the addresses as `server AUTHORIZATION MCP`.
pub(crate) async fn run((web, options): (u16, Options)) -> anyhow::Result<()> {
    wire::allow_descriptors(options.descriptors)?;
    let authorization = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (issuer_at, mcp_at) = (authorization.local_addr()?, mcp.local_addr()?);
    let issuer = Issuer::parse(&format!("http://{issuer_at}"))?;
    let uri = ResourceUri::parse(&format!("http://{mcp_at}/mcp"))?;
    let scopes = ScopeSet::parse("files:read files:write")?;
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new(key)));
    let config = Config::new(issuer.clone(), vec![uri.clone()], scopes.clone(), keys)?;
    let store = Arc::new(MemoryStore::default());
    let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new(MACHINE_SECRET).digest());
    let start = UnixTime::from_secs(0);
    let machine =
        ClientRecord::client_credentials(ClientId::parse(MACHINE)?, secret, scopes, start);
    store.create_client(machine, start).await?;
    let names =
        (0..NAMES).flat_map(|n| [format!("c{n}.client.test"), format!("tar{n}.client.test")]);
    let names = names.chain(["client.test".to_owned()]);
    let web = SocketAddr::from((Ipv4Addr::LOCALHOST, web));
    let documents = WebDocuments::with_hosts(names.map(|name| (name, web)), ROOT)?;
    let router = AuthorizationServer::new(config, Arc::clone(&store), ByCookie)
        .with_client_documents(documents)
        .router();

    let resource = Resource::new(uri, vec![issuer.clone()])?;
    let required =
        OperationScopes::new("files:read")?.tool("write-file", "files:read files:write")?;
    let service = StreamableHttpService::new(
        || Ok(Tools),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names()),
    );
    let mcp_router = Router::new()
        .nest_service("/mcp", service)
        .layer(ProtectLayer::new(resource.clone(), StoreVerifier::new(store, issuer), required))
        .merge(metadata_routes(&resource));

    let limits = ConnectionLimits::default().with_by_local_network(options.by_local_network);
    tokio::spawn(serve(authorization, router, limits, core::future::pending()));
    tokio::spawn(serve(mcp, mcp_router, limits, core::future::pending()));
    println!("server {issuer_at} {mcp_at}");
    until_stopped().await;
    Ok(())
}

/// Serves the document of every requested client over TLS.
///
/// Hosts whose names begin with `tar` stay silent.
pub(crate) async fn web() -> anyhow::Result<()> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE)?;
    let key = PrivateKeyDer::from_pem_slice(KEY)?;
    let config = ServerConfig::builder().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key)?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("web {}", listener.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                let answer = document(&head).context("no request")?;
                if head.windows(10).any(|part| part.starts_with(b" tar")) {
                    tokio::time::sleep(core::time::Duration::from_secs(60)).await;
                }
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                anyhow::Ok(())
            });
        }
    });
    until_stopped().await;
    Ok(())
}

fn document(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    let host = head.lines().find_map(|line| line.strip_prefix("host: "))?;
    let document = format!(
        r#"{{"client_id":"https://{host}{path}","client_name":"Notes","redirect_uris":["{REDIRECT}"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}}"#
    );
    let length = document.len();
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=600\r\ncontent-length: {length}\r\n\r\n{document}"
    ))
}
