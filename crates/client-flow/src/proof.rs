//! DPoP proofs for requests to the MCP server (RFC 9449 §7).

use client_auth::SigningFailed;
use http::HeaderValue;
use oauth_types::{Entropy, UnixTime};

use crate::config::ClientConfig;
use crate::session::Session;

impl Session {
    /// Returns the `DPoP` header for one request with a bound token (RFC 9449 §7).
    ///
    /// `None` for a bearer token, for a URL on another origin than the resource's, and without a proof key in `config`.
    /// `nonce` is the value of the server's latest `DPoP-Nonce` header.
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] when the cryptographic library fails.
    pub fn proof(
        &self,
        config: &ClientConfig,
        request: (&http::Method, &str),
        nonce: Option<&HeaderValue>,
        now: UnixTime,
        entropy: Entropy<16>,
    ) -> Result<Option<HeaderValue>, SigningFailed> {
        let (method, url) = request;
        let is_bound = self.is_bound() && self.has_url(url);
        let Some(key) = config.keys.proof.as_ref().filter(|_| is_bound) else { return Ok(None) };
        // C-EXT-3
        let token = Some(&self.tokens().access_token);
        key.prove(method, url, token, nonce, now, entropy).map(Some)
    }
}
