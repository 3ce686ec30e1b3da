//! The MCP server of the demo: two tools over files in memory. It knows nothing of OAuth; which scopes
//! a tool needs stands beside it, in [`scopes`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use resource_server::{OperationScopes, Resource};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use serde::Deserialize;

/// What each tool needs.
pub(crate) fn scopes() -> anyhow::Result<OperationScopes> {
    Ok(OperationScopes::new("files:read")?
        .tool("list-files", "files:read")?
        .tool("write-file", "files:read files:write")?)
}

/// Files by name, shared by every session.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Mutex<BTreeMap<String, String>>>);

impl Files {
    /// A folder with one file in it.
    pub(crate) fn with_readme() -> Self {
        let readme = ("readme.txt".to_owned(), "Hello.".to_owned());
        Self(Arc::new(Mutex::new(BTreeMap::from([readme]))))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // No operation leaves the map half changed, so poison carries no news.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `write-file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
struct WriteFile {
    /// Name of the file
    name: String,
    /// Its new content
    content: String,
}

#[derive(Debug, Clone)]
pub(crate) struct FileServer {
    files: Files,
}

#[tool_router(server_handler)]
impl FileServer {
    #[tool(name = "list-files", description = "List the files, one `name (bytes)` a line")]
    fn list_files(&self) -> String {
        let mut lines = String::new();
        for (name, content) in self.files.lock().iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name} ({} bytes)", content.len());
        }
        lines
    }

    #[tool(name = "write-file", description = "Create or replace a file")]
    fn write_file(&self, Parameters(file): Parameters<WriteFile>) -> String {
        let bytes = file.content.len();
        let replaced = self.files.lock().insert(file.name, file.content).is_some();
        format!("{}, {bytes} bytes", if replaced { "replaced" } else { "created" })
    }
}

/// The MCP endpoint, to be mounted behind a layer that decides who may call it.
pub(crate) fn service(
    resource: &Resource,
    files: Files,
) -> StreamableHttpService<FileServer, LocalSessionManager> {
    StreamableHttpService::new(
        move || Ok(FileServer { files: files.clone() }),
        Arc::new(LocalSessionManager::default()),
        // By itself rmcp refuses every name but loopback ones.
        StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names()),
    )
}
