//! Mix-up defence by metadata (RFC 9700 §4.4): the origins that an authorization server's endpoints may be on.
//!
//! Metadata is accepted when it names the expected issuer, and an attacker can be an issuer too. If an attacker's
//! metadata names the authorization endpoint of an honest server beside a token endpoint of the attacker, the user logs
//! in at the honest server and the client sends the code, with its PKCE verifier, to the attacker. If the honest server
//! sends `iss` (RFC 9207), the callback is refused; otherwise only the origins of the endpoints reveal the attack.
//!
//! | check, before anything is sent and before the browser opens | SEC | otherwise |
//! |---|---|---|
//! | the metadata promises `iss`, or the authorization endpoint is on an expected origin | SEC-242 | `MixUp` |
//! | the registration endpoint is on an origin of the server | SEC-242 | `RegistrationError::Elsewhere` |
//!
//! Where the metadata promises `iss`, a callback without the issuer's own is refused. Expected origins of the
//! authorization endpoint are those of the issuer, of the token endpoint, and of the URL that the
//! [profile](crate::ServerProfile::with_authorization_endpoint_at) names. The registration endpoint may also be on the
//! origin of the authorization endpoint or of the metadata.
//!
//! An authorization endpoint on the issuer's own origin may have its token endpoint anywhere, as at Google and
//! Facebook, because the code is the issuer's own. Both endpoints may also be on one other origin, as at Cognito, Slack
//! and Entra ID v1, because the code returns to the origin that issued it.
//!
//! Only `iss` detects an attacker's own page that redirects the browser to an honest server, with a client that the
//! attacker registered there; metadata does not show that. The host can show the user the endpoint
//! ([`BrowserRequest::authorization_endpoint`](crate::BrowserRequest::authorization_endpoint)), and honest servers
//! should send `iss`.

use oauth_types::{EndpointUrl, Origin};

use crate::error::{DiscoveryError, RegistrationError};
use crate::session::ServerEndpoints;

impl ServerEndpoints {
    /// Returns the authorization endpoint, for a flow with users.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::NoEndpoint`] without such an endpoint, [`DiscoveryError::MixUp`] by the table above.
    pub(crate) fn for_users(&self) -> Result<&EndpointUrl, DiscoveryError> {
        let Some(endpoint) = &self.authorization_endpoint else {
            let issuer = self.issuer.clone();
            return Err(DiscoveryError::NoEndpoint { issuer, member: "authorization_endpoint" });
        };
        // SEC-242
        if self.iss_advertised || self.sends_codes_back_to(&endpoint.origin()) {
            return Ok(endpoint);
        }
        Err(DiscoveryError::MixUp {
            issuer: self.issuer.clone(),
            authorization_endpoint: endpoint.clone(),
            token_endpoint: self.token_endpoint.clone(),
        })
    }

    /// Checks that the client may register at this registration endpoint.
    pub(crate) fn registers_at(&self, endpoint: &EndpointUrl) -> Result<(), RegistrationError> {
        let origin = endpoint.origin();
        let mut others =
            self.authorization_endpoint.iter().chain(&self.metadata_url).map(EndpointUrl::origin);
        // SEC-242
        if self.sends_codes_back_to(&origin) || others.any(|other| other == origin) {
            return Ok(());
        }
        let (issuer, url) = (self.issuer.clone(), endpoint.clone());
        Err(RegistrationError::Elsewhere { issuer, url })
    }

    /// Returns `true` if codes from this origin are sent to the server that issued them only.
    fn sends_codes_back_to(&self, origin: &Origin) -> bool {
        let named = self.profile.authorization_endpoint().map(EndpointUrl::origin);
        *origin == self.token_endpoint.origin()
            || origin.contains(self.issuer.as_str())
            || named.as_ref() == Some(origin)
    }
}
