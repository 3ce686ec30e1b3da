//! Names of HTTP header fields that `http` does not have: DPoP, MCP and server-sent events.
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

/// Proof of possession of a key (RFC 9449 §4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Nonce that the next proof has to carry (RFC 9449 §8, §9).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Last event that a client has of a stream (HTML §9.2.4).
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// JSON-RPC method of an MCP request (MCP 2026-07-28, SEP-2243).
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// Tool, prompt or resource of an MCP request (MCP 2026-07-28, SEP-2243).
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Revision of MCP that a request speaks.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Session of the streamable HTTP transport of MCP.
pub const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
