//! Defence against mix-up by metadata (RFC 9700 §4.4): the origins that an authorization server's endpoints may be on.
//!
//! Metadata is believed when it names the issuer that it was asked for, and an attacker can be an issuer too. Metadata
//! of an attacker that names the authorization endpoint of an honest server beside a token endpoint of the attacker
//! would have the user log in at the honest server and the client send the code, with its PKCE verifier, to the
//! attacker. Where the honest server answers with `iss` (RFC 9207) the callback is refused; where it does not, only the
//! places of the endpoints tell.
//!
//! | check, before anything is sent and before the browser opens | SEC | otherwise |
//! |---|---|---|
//! | the metadata promises `iss`, and a callback without the issuer's own is refused; or the authorization endpoint is on the origin of the issuer, of the token endpoint, or of the URL that the [profile](crate::ServerProfile::with_authorization_endpoint_at) names | SEC-242 | `MixUp` |
//! | the registration endpoint is on an origin of the issuer, of its other endpoints, or of its metadata | SEC-242 | `RegistrationError::Elsewhere` |
//!
//! An authorization endpoint on the issuer's own origin may have its token endpoint anywhere, as at Google and
//! Facebook: the code is the issuer's own. Both on one other origin, as at Cognito, Slack and Entra ID v1, are fine too:
//! the code goes back to where it came from.
//!
//! What is left to `iss`: an attacker's own page can send the browser on to an honest server, with a client that the
//! attacker registered there. No metadata shows that. The host can show the user where they are sent
//! ([`Visit::authorization_endpoint`](crate::Visit::authorization_endpoint)), and honest servers should answer with
//! `iss`.

use oauth_types::{EndpointUrl, Origin};

use crate::error::{DiscoveryError, RegistrationError};
use crate::session::ServerEndpoints;

impl ServerEndpoints {
    /// Returns the URL that users are sent to, for a flow that has users.
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

    /// Checks that the client may introduce itself at this registration endpoint.
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

    /// Returns `true` if codes from this origin are sent to no other server than the one that issued them.
    fn sends_codes_back_to(&self, origin: &Origin) -> bool {
        let named = self.profile.authorization_endpoint().map(EndpointUrl::origin);
        *origin == self.token_endpoint.origin()
            || origin.contains(self.issuer.as_str())
            || named.as_ref() == Some(origin)
    }
}
