#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod guide;

pub use oauth_types;

#[cfg(feature = "client")]
#[doc(inline)]
pub use mcp_authz_reqwest as client;
#[cfg(feature = "client")]
pub use mcp_authz_reqwest::client_flow;

#[cfg(any(feature = "server", feature = "resource"))]
#[doc(inline)]
pub use mcp_authz_axum as server;
#[cfg(feature = "server")]
pub use mcp_authz_axum::authorization_server;
#[cfg(feature = "resource")]
pub use mcp_authz_axum::resource_server;

#[cfg(feature = "postgres")]
#[doc(inline)]
pub use mcp_authz_postgres as postgres;
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use mcp_authz_sqlite as sqlite;
