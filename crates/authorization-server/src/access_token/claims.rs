//! The claims of an access token that is a JWT (RFC 9068 §2.2).

use oauth_types::{Issuer, ScopeSet, Secret, Thumbprint, UnixTime};
use serde::Serialize;

use super::About;

#[derive(Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: UnixTime,
    iat: UnixTime,
    jti: &'a str,
    client_id: &'a str,
    scope: &'a ScopeSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// `cnf` claim: the key whose possession the sender must prove (RFC 7800 §3.1, RFC 9449 §6.1).
#[derive(Serialize)]
struct Confirmation {
    jkt: Thumbprint,
}

impl<'a> Claims<'a> {
    /// Builds the claims of the token; `id` becomes `jti`.
    pub(super) fn new(issuer: &'a Issuer, id: &'a Secret, about: &About<'a>) -> Self {
        Self {
            iss: issuer.as_str(),
            sub: about.subject.as_str(),
            aud: about.resource.as_str(),
            exp: about.expires_at,
            iat: about.issued_at,
            jti: id.expose(),
            client_id: about.client_id.as_str(),
            scope: about.scopes,
            cnf: about.jkt.map(|jkt| Confirmation { jkt }),
        }
    }
}
