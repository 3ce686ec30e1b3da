//! Two rmcp tools over files in memory.
//!
//! Of OAuth they see only the calling user; [`scopes`] has the scopes of each tool.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use resource_server::{AuthInfo, OperationScopes, Resource};
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use serde::Deserialize;

/// Returns the base scope and the scope of each tool; an unlisted tool needs all scopes.
pub(crate) fn scopes() -> anyhow::Result<OperationScopes> {
    Ok(OperationScopes::new("files:read")?
        .tool("list-files", "files:read")?
        .tool("write-file", "files:read files:write")?)
}

/// Files by name, each with its content and its author.
#[derive(Clone)]
pub(crate) struct Files(Arc<Mutex<BTreeMap<String, (String, String)>>>);

/// Parameters of `write-file`.
#[derive(Debug, Deserialize, JsonSchema)]
struct WriteFile {
    /// Name of the file
    name: String,
    /// New content of the file
    content: String,
}

#[tool_router(server_handler)]
impl Files {
    #[tool(name = "list-files", description = "List the files, with their sizes and authors")]
    fn list_files(&self) -> String {
        let mut lines = String::new();
        for (name, (content, author)) in self.lock().iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name} ({} bytes) by {author}", content.len());
        }
        lines
    }

    #[tool(name = "write-file", description = "Create or replace a file")]
    fn write_file(
        &self,
        Parameters(file): Parameters<WriteFile>,
        Extension(request): Extension<Parts>,
    ) -> String {
        // The layer adds it to every request that it admits.
        let Some(user) = request.extensions.get::<AuthInfo>() else { return "who are you?".into() };
        let bytes = file.content.len();
        self.lock().insert(file.name, (file.content, user.subject().to_string()));
        format!("written, {bytes} bytes")
    }
}

impl Files {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (String, String)>> {
        // Poison is ignored, because no operation leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the MCP endpoint, which has to be behind the layer that authorizes requests.
pub(crate) fn service(resource: &Resource) -> StreamableHttpService<Files, LocalSessionManager> {
    let readme = ("readme.txt".to_owned(), ("Hello.".to_owned(), "nobody".to_owned()));
    let files = Files(Arc::new(Mutex::new([readme].into())));
    // By default rmcp refuses all host names except for loopback ones.
    let config = StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names());
    StreamableHttpService::new(move || Ok(files.clone()), Arc::default(), config)
}
