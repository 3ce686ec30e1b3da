//! Our authorization server and an MCP server that it protects, on loopback.

use std::collections::HashMap;
use std::sync::Arc;

use authorization_server::{Config, DocumentRefused, MemoryStore, ServerKey, ServerKeys};
use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use mcp_authz_axum::{
    AuthorizationServer, ClientDocuments, DemoLogin, ProtectLayer, StoreVerifier, metadata_routes,
};
use oauth_types::{ClientMetadataUrl, Entropy, Issuer, RedirectUri, ResourceUri, ScopeSet};
use resource_server::{BrowserOrigins, OperationScopes, Resource};
use serde_json::Value;

use crate::fake::{bind, serve};
use crate::script::{Failed, headers, text};

/// Settings that a file or a client asks for.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Schemes of private-use redirect URIs that are taken.
    pub(crate) private_use: Vec<String>,
    /// Origins whose pages may call the MCP server.
    pub(crate) cors: Vec<String>,
    /// Scopes that the 401 names beside those of the operation.
    pub(crate) scopes_challenged: Option<String>,
    /// Both servers at one origin.
    pub(crate) one_origin: bool,
    /// Answers to GET by URL: what clients' sites serve.
    pub(crate) documents: HashMap<String, Value>,
}

/// Both servers.
pub(crate) struct Ours {
    pub(crate) rs: String,
    pub(crate) issuer: String,
}

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

impl Ours {
    /// Starts both servers on loopback.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Failed> {
        let (rs_listener, rs) = bind().await;
        let (listener, mut origin) = bind().await;
        if settings.one_origin {
            origin.clone_from(&rs);
        }
        let issuer = Issuer::parse(&origin).unwrap();
        let uri = ResourceUri::parse(&format!("{rs}/mcp")).unwrap();
        let scopes = OperationScopes::new("files:read").unwrap();
        let scopes = scopes.tool("read", "files:read").unwrap();
        let scopes = scopes.tool("write", "files:read files:write").unwrap();
        let all = scopes.all().clone();
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let config = Config::new(issuer.clone(), vec![uri.clone()], all.clone(), keys).unwrap();
        // A client that names no scope gets what the challenge of the 401 names.
        let default = match &settings.scopes_challenged {
            Some(scopes) => ScopeSet::parse(scopes).unwrap(),
            None => scopes.base().clone(),
        };
        let config = config.with_default_scope(default).unwrap();
        let schemes = settings.private_use.iter();
        let schemes = schemes.filter(|scheme| RedirectUri::is_private_use_scheme(scheme));
        let config = config.with_private_use_schemes(schemes).unwrap();
        // A page of another site calls both servers, which are loopback ones here.
        let config = match settings.cors.is_empty() {
            true => config,
            false => config.with_browser_origins(BrowserOrigins::listed(&settings.cors).unwrap()),
        };
        let store = Arc::new(MemoryStore::default());
        let authorization = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin)
            .with_client_documents(Sites(settings.documents))
            .router();
        let mut resource =
            Resource::new(uri, vec![issuer.clone()]).unwrap().with_scopes_listed(&all);
        if let Some(scopes) = &settings.scopes_challenged {
            resource = resource.with_scopes_challenged(&ScopeSet::parse(scopes).unwrap());
        }
        let verifier = StoreVerifier::new(Arc::clone(&store), issuer);
        let mut protect = ProtectLayer::new(resource.clone(), verifier, scopes);
        if !settings.cors.is_empty() {
            protect = protect.with_cors(BrowserOrigins::listed(&settings.cors).unwrap());
        }
        let mcp = Router::new()
            .route("/mcp", any(async || ([(CONTENT_TYPE, "application/json")], RESULT)))
            .layer(protect)
            .merge(metadata_routes(&resource));
        if settings.one_origin {
            serve(rs_listener, mcp.merge(authorization));
        } else {
            serve(rs_listener, mcp);
            serve(listener, authorization);
        }
        Ok(Self { rs, issuer: origin })
    }
}

/// The web, as far as clients' documents are concerned.
struct Sites(HashMap<String, Value>);

impl ClientDocuments for Sites {
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        let answer = served(self.0.get(url.as_url().as_str()));
        Box::pin(async { Ok(answer) })
    }
}

/// The answer that a file writes for one URL; 404 where it says nothing.
fn served(written: Option<&Value>) -> Response<Bytes> {
    let mut response = Response::builder();
    let Some(written) = written else {
        return response.status(StatusCode::NOT_FOUND).body(Bytes::new()).unwrap();
    };
    let status = written["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    response = response.status(status.unwrap_or(200));
    let lines = headers(written);
    if !lines.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in lines {
        response = response.header(name, value);
    }
    let body = match &written["json"] {
        Value::Null => text(written, "text").unwrap_or_default().to_owned(),
        json => json.to_string(),
    };
    response.body(Bytes::from(body)).unwrap()
}
