//! Server side: parse what was presented, let the host look up the client, verify once.
//!
//! | check, in this order | requirement | reason | answer |
//! |---|---|---|---|
//! | no parameter or header twice | | `RepeatedParameter`, `RepeatedHeader` | 400 `invalid_request` |
//! | the header is Basic and well formed | A-AUTHN-1 | `UnknownScheme`, `MalformedHeader` | 401 `invalid_client` |
//! | one method only | A-AUTHN-3 | `SeveralMethods` | 400 `invalid_request` |
//! | body and header name one client | A-AUTHN-2 | `IdentifierMismatch` | 401 `invalid_client` |
//! | there is a client identifier | | `NoIdentifier` | 401 `invalid_client` |
//! | the client is known | A-AUTHN-5 | `UnknownClient` | 401 `invalid_client` |
//! | it presents the method it registered | A-AUTHN-4, A-AUTHN-7 | `WrongMethod` | 401 `invalid_client` |
//! | a secret is stored | A-AUTHN-8 | `NoStoredSecret` | 401 `invalid_client` |
//! | it has not expired | A-AUTHN-6 | `ExpiredSecret` | 401 `invalid_client` |
//! | it is the right one | A-AUTHN-5 | `WrongSecret` | 401 `invalid_client` |

use http::HeaderMap;
use http::header::AUTHORIZATION;
use oauth_types::{AuthMethod, ClientId, FormPairs, Repeated, Secret, SecretDigest, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{ClientAuthError, Reason, basic};

/// What is on record about a client's authentication.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// The one method that is accepted. A registration that names none means
    /// `client_secret_basic` (RFC 7591 §2).
    pub method: AuthMethod,
    /// The digest of its secret, if it has one.
    pub secret: Option<SecretDigest>,
    /// When the secret expires; `None` is never. The 0 of RFC 7591 §3.2.1 is `None` here.
    pub secret_expires_at: Option<UnixTime>,
}

impl Registered {
    /// A public client.
    #[must_use]
    pub const fn public() -> Self {
        Self { method: AuthMethod::None, secret: None, secret_expires_at: None }
    }

    /// A client with a secret that does not expire.
    #[must_use]
    pub fn with_secret(method: AuthMethod, secret: &Secret) -> Self {
        Self { method, secret: Some(secret.digest()), secret_expires_at: None }
    }
}

/// What a request presents: one client identifier and at most one proof.
#[derive(Clone, Debug)]
#[must_use = "nobody is authenticated until `verify` says so"]
pub struct Presented {
    client_id: ClientId,
    proof: Proof,
}

#[derive(Clone, Debug)]
enum Proof {
    Nothing,
    Header(Secret),
    Body(Secret),
}

/// A client that is who it says: only [`Presented::verify`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    client_id: ClientId,
    method: AuthMethod,
}

impl Authenticated {
    /// Which client.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// How it showed who it is.
    #[must_use]
    pub const fn method(&self) -> &AuthMethod {
        &self.method
    }

    /// Whether it proved that it holds a secret.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.method != AuthMethod::None
    }
}

impl Presented {
    /// Reads the authentication out of a request: the `Authorization` header and the form body.
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`] when the request presents something malformed, or more than one method.
    pub fn parse(headers: &HeaderMap, form: &FormPairs<'_>) -> Result<Self, ClientAuthError> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let header = lines.next();
        let fail = ClientAuthError::new;
        if lines.next().is_some() {
            return Err(fail(Reason::RepeatedHeader));
        }
        let repeated = |_: Repeated| fail(Reason::RepeatedParameter);
        let body_id = form.value("client_id").map_err(repeated)?;
        let body_secret = form.value("client_secret").map_err(repeated)?;
        let assertion = form.value("client_assertion").map_err(repeated)?;
        let basic = match header {
            Some(line) => Some(basic::decode(line.as_bytes()).ok_or(fail(Reason::UnknownScheme))?),
            None => None,
        };
        // A-AUTHN-3
        let methods = [basic.is_some(), body_secret.is_some(), assertion.is_some()];
        if methods.into_iter().filter(|used| *used).count() > 1 {
            return Err(fail(Reason::SeveralMethods));
        }
        if assertion.is_some() {
            return Err(fail(Reason::AssertionNotSupported));
        }
        if let Some(pair) = basic {
            let (client_id, secret) = pair.map_err(fail)?;
            // A-AUTHN-2
            if body_id.is_some_and(|id| id != client_id.as_str()) {
                return Err(fail(Reason::IdentifierMismatch));
            }
            return Ok(Self { client_id, proof: Proof::Header(secret) });
        }
        let client_id =
            body_id.and_then(|id| ClientId::parse(id).ok()).ok_or(fail(Reason::NoIdentifier))?;
        let proof = body_secret.map_or(Proof::Nothing, |secret| Proof::Body(Secret::new(secret)));
        Ok(Self { client_id, proof })
    }

    /// The client to look up.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Verifies against what is on record; `None` when nothing is, which costs the same work and gives
    /// the same reply as a wrong secret.
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`], whose reply does not tell which check failed.
    pub fn verify(
        self,
        registered: Option<&Registered>,
        now: UnixTime,
    ) -> Result<Authenticated, ClientAuthError> {
        let (presented, secret) = match &self.proof {
            Proof::Nothing => (AuthMethod::None, None),
            Proof::Header(secret) => (AuthMethod::ClientSecretBasic, Some(secret)),
            Proof::Body(secret) => (AuthMethod::ClientSecretPost, Some(secret)),
        };
        // A-AUTHN-5: one digest is computed and compared on every path.
        let stored = registered.and_then(|record| record.secret);
        let compared = stored.unwrap_or(SecretDigest::from_bytes([0; 32]));
        let is_right = compared.matches(secret.map_or("", Secret::expose)) && stored.is_some();

        let fail = |reason| Err(ClientAuthError::new(reason));
        let Some(record) = registered else {
            return fail(Reason::UnknownClient);
        };
        match &record.method {
            // A-AUTHN-7: a secret in the body of a public client plays no part.
            AuthMethod::None if presented != AuthMethod::ClientSecretBasic => {}
            // A-AUTHN-4
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost
                if record.method == presented =>
            {
                // A-AUTHN-8
                if stored.is_none() {
                    return fail(Reason::NoStoredSecret);
                }
                // A-AUTHN-6
                if record.secret_expires_at.is_some_and(|end| now >= end) {
                    return fail(Reason::ExpiredSecret);
                }
                if !is_right {
                    return fail(Reason::WrongSecret);
                }
            }
            _ => return fail(Reason::WrongMethod),
        }
        Ok(Authenticated { client_id: self.client_id, method: record.method.clone() })
    }
}
