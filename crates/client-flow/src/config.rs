//! What the host decides before a login.

use client_auth::ClientCredentials;
use oauth_types::{ClientMetadataUrl, Issuer, RedirectUri, ResourceUri};

/// Whom the tokens are for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Grant {
    /// A user, who agrees in a browser (RFC 6749 §4.1).
    AuthorizationCode {
        /// Where the browser comes back to. Loopback for installed programs (RFC 8252 §7.3).
        redirect_uri: RedirectUri,
    },
    /// The client itself (RFC 6749 §4.4): nobody is asked, and its credentials are pre-registered.
    ClientCredentials,
}

/// How this client introduces itself. Everything else is found out from the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name that users see on a consent page.
    pub client_name: String,
    /// Whom its tokens are for.
    pub grant: Grant,
    /// Credentials that an authorization server's operator gave out, each for that server only.
    pub pre_registered: Vec<(Issuer, ClientCredentials)>,
    /// The URL of this client's own metadata document, used where the server supports it.
    pub metadata_url: Option<ClientMetadataUrl>,
    /// The issuer to expect for a resource (and all below it) whose documents misspell it, by a slash or a
    /// letter's case. The server's metadata has to name this very issuer: nothing turns the comparison off.
    pub pinned_issuers: Vec<(ResourceUri, Issuer)>,
    /// Whether to ask for a refresh token where the server lists `offline_access`.
    pub wants_refresh_token: bool,
}

impl ClientConfig {
    /// A client that acts for users and registers itself with each server it meets.
    #[must_use]
    pub fn new(client_name: impl Into<String>, redirect_uri: RedirectUri) -> Self {
        Self::with(client_name.into(), Grant::AuthorizationCode { redirect_uri }, Vec::new())
    }

    /// A client that acts for itself, with the credentials that the operator of this authorization server gave
    /// out.
    #[must_use]
    pub fn for_itself(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
    ) -> Self {
        Self::with(client_name.into(), Grant::ClientCredentials, vec![(issuer, credentials)])
    }

    const fn with(
        client_name: String,
        grant: Grant,
        pre_registered: Vec<(Issuer, ClientCredentials)>,
    ) -> Self {
        Self {
            client_name,
            grant,
            pre_registered,
            metadata_url: None,
            pinned_issuers: Vec::new(),
            wants_refresh_token: true,
        }
    }
}
