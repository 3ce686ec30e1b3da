//! Names of HTTP header fields that the crate `http` lacks: DPoP, MCP and server-sent events.
//!
//! ```
//! use http::{HeaderMap, HeaderValue};
//! use oauth_types::header::MCP_PROTOCOL_VERSION;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(MCP_PROTOCOL_VERSION, HeaderValue::from_static("2026-07-28"));
//! assert!(headers.contains_key("MCP-Protocol-Version"));
//! ```

use http::HeaderName;

/// Header of DPoP proofs (RFC 9449 §4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Header of the nonce that the next DPoP proof has to carry (RFC 9449 §8, §9).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Header of the last server-sent event that a client received (HTML §9.2.4).
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Header of the JSON-RPC method of an MCP request (MCP 2026-07-28, SEP-2243).
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// Header of the tool, prompt or resource of an MCP request (MCP 2026-07-28, SEP-2243).
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Header of the MCP revision that a request uses.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Header of the session of MCP's streamable HTTP transport.
pub const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
