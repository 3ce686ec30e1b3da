//! Two tools over files in memory, in rmcp's way. They know nothing of OAuth but who calls; which scopes a tool needs
//! stands beside it, in [`scopes`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use resource_server::{Granted, OperationScopes, Resource};
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{tool, tool_router};
use serde::Deserialize;

/// What every request needs, and what each tool does. A tool in no row needs everything.
pub(crate) fn scopes() -> anyhow::Result<OperationScopes> {
    Ok(OperationScopes::new("files:read")?
        .tool("list-files", "files:read")?
        .tool("write-file", "files:read files:write")?)
}

/// The files, each with its content and who wrote it.
#[derive(Clone)]
pub(crate) struct Files(Arc<Mutex<BTreeMap<String, (String, String)>>>);

/// What `write-file` takes.
#[derive(Debug, Deserialize, JsonSchema)]
struct WriteFile {
    /// Name of the file
    name: String,
    /// Its new content
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
        // The layer puts it there, and lets nobody through without.
        let Some(user) = request.extensions.get::<Granted>() else { return "who are you?".into() };
        let bytes = file.content.len();
        self.lock().insert(file.name, (file.content, user.subject().to_string()));
        format!("written, {bytes} bytes")
    }
}

impl Files {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (String, String)>> {
        // No operation leaves the map half changed, so poison carries no news.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The MCP endpoint, to be mounted behind a layer that decides who may call it.
pub(crate) fn service(resource: &Resource) -> StreamableHttpService<Files, LocalSessionManager> {
    let readme = ("readme.txt".to_owned(), ("Hello.".to_owned(), "nobody".to_owned()));
    let files = Files(Arc::new(Mutex::new([readme].into())));
    // By itself rmcp refuses every name but loopback ones.
    let config = StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names());
    StreamableHttpService::new(move || Ok(files.clone()), Arc::default(), config)
}
