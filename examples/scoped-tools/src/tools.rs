//! MCP server of the example: two tools over files in memory.
//!
//! The tools have no code for OAuth; [`scopes`] has the scopes of each tool.

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

/// Returns the scopes of each tool.
pub(crate) fn scopes() -> anyhow::Result<OperationScopes> {
    Ok(OperationScopes::new("files:read")?
        .tool("list-files", "files:read")?
        .tool("write-file", "files:read files:write")?)
}

/// Files by name, shared by every session.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Mutex<BTreeMap<String, String>>>);

impl Files {
    /// Creates a folder with one file.
    pub(crate) fn with_readme() -> Self {
        let readme = ("readme.txt".to_owned(), "Hello.".to_owned());
        Self(Arc::new(Mutex::new(BTreeMap::from([readme]))))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Poison is ignored, because no operation leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parameters of `write-file`.
#[derive(Debug, Deserialize, JsonSchema)]
struct WriteFile {
    /// Name of the file
    name: String,
    /// New content of the file
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

/// Returns the MCP endpoint, which has to be behind the layer that authorizes requests.
pub(crate) fn service(
    resource: &Resource,
    files: Files,
) -> StreamableHttpService<FileServer, LocalSessionManager> {
    StreamableHttpService::new(
        move || Ok(FileServer { files: files.clone() }),
        Arc::new(LocalSessionManager::default()),
        // By default rmcp refuses all host names except for loopback ones.
        StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names()),
    )
}
