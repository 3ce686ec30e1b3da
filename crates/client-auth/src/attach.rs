//! Client side of client authentication (RFC 6749 §2.3): choice of a method and its use.

use core::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use oauth_types::{AuthMethod, ClientId, FormWriter, Secret, UnixTime, serde_secret};
use serde::{Deserialize, Serialize};

use crate::basic;

/// Credentials of a client: its identifier, method and secret (RFC 6749 §2.3).
///
/// Serialization writes the secret in the clear, for a credential store.
///
/// # Examples
///
/// ```
/// use client_auth::ClientCredentials;
/// use http::{HeaderMap, header::AUTHORIZATION};
/// use oauth_types::{AuthMethod, ClientId, FormWriter, Secret};
///
/// let listed = [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];
/// let (client_id, secret) = (ClientId::parse("s6BhdRkqt3")?, Secret::new("7Fjfp0ZBr1KtDRbnfVdmIw"));
/// let credentials = ClientCredentials::choose(client_id, Some(secret), None, &listed)?;
///
/// let (mut headers, mut form) = (HeaderMap::new(), FormWriter::new());
/// credentials.attach(&mut headers, &mut form)?;
/// // The example of RFC 6749 §2.3.1.
/// assert_eq!(headers[AUTHORIZATION], "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
/// assert!(headers[AUTHORIZATION].is_sensitive());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientCredentials {
    client_id: ClientId,
    method: AuthMethod,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_secret")]
    secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_expires_at: Option<UnixTime>,
}

/// Reason why a client's credentials fit no method of a server (RFC 8414 §2,
/// `token_endpoint_auth_methods_supported`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NoUsableMethod {
    /// The registered method needs a secret, and there is none.
    SecretMissing,
    /// The registered method is not supported here.
    UnknownMethod,
    /// The server lists no method for secrets, so the secret is not sent.
    SecretNotAccepted,
    /// The client is registered for assertions, and no key is configured.
    KeyMissing,
    /// The server does not list assertions, or not the algorithm of the key.
    KeyNotAccepted,
}

impl fmt::Display for NoUsableMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretMissing => {
                "the client is registered for a secret and has none: configure the secret \
                 that the server issued, or register again"
            }
            Self::UnknownMethod => {
                "the client is registered for an authentication method that is not \
                     supported here: register it for `client_secret_basic`, \
                     `client_secret_post`, `private_key_jwt` or `none`"
            }
            Self::SecretNotAccepted => {
                "the authorization server lists no method for secrets, so the client's \
                     secret is not sent: register a public client, or ask the server's \
                     operator to list `client_secret_basic`"
            }
            Self::KeyMissing => {
                "the client is registered for assertions: configure its private key"
            }
            Self::KeyNotAccepted => {
                "the authorization server does not list `private_key_jwt`, or not with \
                     the key's algorithm: configure a key for an algorithm that it lists, or \
                     a secret"
            }
        })
    }
}

impl core::error::Error for NoUsableMethod {}

/// Error of credentials that are presented by a freshly signed assertion (RFC 7523 §2.2).
///
/// The caller has to sign and attach one; nothing was added to the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AssertionNeeded;

impl fmt::Display for AssertionNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is registered for assertions: sign one and attach it")
    }
}

impl core::error::Error for AssertionNeeded {}

impl ClientCredentials {
    /// Creates the credentials of a public client, which presents only its identifier.
    #[must_use]
    pub const fn public(client_id: ClientId) -> Self {
        Self { client_id, method: AuthMethod::None, secret: None, secret_expires_at: None }
    }

    /// Creates credentials with the registered method, or else the first one that the server lists.
    ///
    /// `listed` is
    /// [`AuthorizationServerMetadata::auth_methods`](oauth_types::AuthorizationServerMetadata::auth_methods).
    ///
    /// If a server issues a secret, registers no method, and lists `none` but no method for secrets, the client is a
    /// public one (C-TOKEN-11).
    ///
    /// # Errors
    ///
    /// [`NoUsableMethod`] when the secret cannot be used as the server requires. It is never sent by a method that
    /// the server neither registered nor lists.
    pub fn choose(
        client_id: ClientId,
        secret: Option<Secret>,
        registered: Option<&AuthMethod>,
        listed: &[AuthMethod],
    ) -> Result<Self, NoUsableMethod> {
        // C-TOKEN-2
        let method = match (registered, &secret) {
            (Some(AuthMethod::None), _) | (None, None) => AuthMethod::None,
            (
                Some(method @ (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)),
                Some(_),
            ) => method.clone(),
            (Some(AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost), None) => {
                return Err(NoUsableMethod::SecretMissing);
            }
            (Some(AuthMethod::PrivateKeyJwt), _) => return Err(NoUsableMethod::KeyMissing),
            (Some(_), _) => return Err(NoUsableMethod::UnknownMethod),
            (None, Some(_)) => {
                // The server's order is kept, because some servers implement only the first method well.
                match listed.iter().find(|method| takes_secret(method)) {
                    Some(method) => method.clone(),
                    // C-TOKEN-11
                    None if listed.contains(&AuthMethod::None) => AuthMethod::None,
                    None => return Err(NoUsableMethod::SecretNotAccepted),
                }
            }
        };
        let secret = secret.filter(|_| method != AuthMethod::None);
        Ok(Self { client_id, method, secret, secret_expires_at: None })
    }

    /// Creates the credentials of a client that is registered for assertions.
    ///
    /// The caller signs an assertion for each request.
    #[must_use]
    pub const fn with_assertions(client_id: ClientId) -> Self {
        Self { client_id, method: AuthMethod::PrivateKeyJwt, secret: None, secret_expires_at: None }
    }

    /// Creates the credentials of a client that signs assertions with this key, if the server accepts them.
    ///
    /// The server has to list `private_key_jwt`, and the key's algorithm unless it lists none (RFC 8414 §2).
    ///
    /// # Errors
    ///
    /// [`NoUsableMethod::KeyNotAccepted`] when the server does not list the method or the algorithm.
    #[cfg(feature = "jwt")]
    pub fn with_key(
        client_id: ClientId,
        key: &crate::signing::SigningKey,
        server: &oauth_types::AuthorizationServerMetadata,
    ) -> Result<Self, NoUsableMethod> {
        key.accepted_by(server)?;
        Ok(Self::with_assertions(client_id))
    }

    /// Sets the time from which on the secret is refused; the 0 of a registration response means never.
    #[must_use]
    pub const fn expiring(mut self, at: Option<UnixTime>) -> Self {
        // RFC 7591 §3.2.1: 0 means never.
        self.secret_expires_at = match at {
            Some(at) if at.as_secs() == 0 => None,
            at => at,
        };
        self
    }

    /// Returns the client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the authentication method.
    #[must_use]
    pub const fn method(&self) -> &AuthMethod {
        &self.method
    }

    /// Returns `true` if the secret has expired (`now >= secret_expires_at`).
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.secret.is_some() && self.secret_expires_at.is_some_and(|end| now >= end)
    }

    /// Adds the authentication to a request: exactly one method, in the header or the form.
    ///
    /// # Errors
    ///
    /// [`AssertionNeeded`] for `private_key_jwt`, where a `ClientAssertion` has to be attached, for unsupported
    /// methods, and for stored credentials that lack the secret of their method.
    pub fn attach(
        &self,
        headers: &mut HeaderMap,
        form: &mut FormWriter,
    ) -> Result<(), AssertionNeeded> {
        match (&self.method, &self.secret) {
            (AuthMethod::ClientSecretBasic, Some(secret)) => {
                // Replaces an existing header, because a request with two is refused.
                headers.insert(AUTHORIZATION, basic::encode(&self.client_id, secret));
            }
            (AuthMethod::ClientSecretPost, Some(secret)) => {
                form.append("client_id", self.client_id.as_str());
                form.append("client_secret", secret.expose());
            }
            (AuthMethod::None, _) => {
                form.append("client_id", self.client_id.as_str());
            }
            // An assertion, or incomplete credentials from a store, which must not be sent as those of a public
            // client.
            _ => return Err(AssertionNeeded),
        }
        Ok(())
    }
}

const fn takes_secret(method: &AuthMethod) -> bool {
    matches!(method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ClientId {
        ClientId::parse("c:1").unwrap()
    }

    fn choose(
        secret: bool,
        registered: Option<&AuthMethod>,
        listed: &[AuthMethod],
    ) -> Result<AuthMethod, NoUsableMethod> {
        let secret = secret.then(|| Secret::new("s"));
        ClientCredentials::choose(id(), secret, registered, listed)
            .map(|credentials| credentials.method)
    }

    /// C-TOKEN-2
    #[test]
    fn the_registered_method_or_the_first_listed() {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};
        assert_eq!(
            choose(true, Some(&ClientSecretPost), &[ClientSecretBasic]),
            Ok(ClientSecretPost)
        );
        assert_eq!(
            choose(true, None, &[PrivateKeyJwt, ClientSecretPost, ClientSecretBasic]),
            Ok(ClientSecretPost)
        );
        assert_eq!(choose(true, None, &[Public, ClientSecretPost]), Ok(ClientSecretPost));
        assert_eq!(choose(false, None, &[ClientSecretBasic]), Ok(Public));
        assert_eq!(choose(true, Some(&Public), &[ClientSecretBasic]), Ok(Public));
        assert_eq!(
            choose(false, Some(&ClientSecretBasic), &[]),
            Err(NoUsableMethod::SecretMissing)
        );
        assert_eq!(choose(true, Some(&PrivateKeyJwt), &[]), Err(NoUsableMethod::KeyMissing));
        let tls = AuthMethod::parse("tls_client_auth");
        assert_eq!(choose(true, Some(&tls), &[]), Err(NoUsableMethod::UnknownMethod));
    }

    #[test]
    fn stored_credentials_never_turn_public_and_attach_replaces() {
        for json in [
            r#"{"client_id":"c","method":"client_secret_basic"}"#,
            r#"{"client_id":"c","method":"client_secret_post","secret":null}"#,
            r#"{"client_id":"c","method":"tls_client_auth","secret":"s"}"#,
        ] {
            let credentials: ClientCredentials = serde_json::from_str(json).unwrap();
            let (mut headers, mut form) = (HeaderMap::new(), FormWriter::new());
            assert!(credentials.attach(&mut headers, &mut form).is_err(), "{json}");
            assert!(headers.is_empty() && form.as_str().is_empty());
        }
        let basic = Some(&AuthMethod::ClientSecretBasic);
        let credentials =
            ClientCredentials::choose(id(), Some(Secret::new("s")), basic, &[]).unwrap();
        let credentials = credentials.expiring(Some(UnixTime::from_secs(0)));
        assert!(!credentials.has_expired(UnixTime::from_secs(9)));
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            credentials.attach(&mut headers, &mut FormWriter::new()).unwrap();
        }
        assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
    }

    /// C-TOKEN-11
    #[test]
    fn a_secret_from_a_server_that_lists_only_none_is_not_used() {
        assert_eq!(choose(true, None, &[AuthMethod::None]), Ok(AuthMethod::None));
    }

    /// SEC-089
    #[test]
    fn a_secret_is_never_sent_where_only_assertions_are_listed() {
        let listed = [AuthMethod::PrivateKeyJwt];
        assert_eq!(choose(true, None, &listed), Err(NoUsableMethod::SecretNotAccepted));
    }

    #[test]
    fn each_method_attaches_itself_and_nothing_else() {
        for (method, in_header, in_form) in [
            (AuthMethod::ClientSecretBasic, true, ""),
            (AuthMethod::ClientSecretPost, false, "client_id=c%3A1&client_secret=p%20%25"),
            (AuthMethod::None, false, "client_id=c%3A1"),
        ] {
            let secret = Some(Secret::new("p %"));
            let credentials = ClientCredentials::choose(id(), secret, Some(&method), &[]).unwrap();
            let (mut headers, mut form) = (HeaderMap::new(), FormWriter::new());
            credentials.attach(&mut headers, &mut form).unwrap();
            assert_eq!(headers.contains_key(AUTHORIZATION), in_header);
            assert_eq!(form.as_str(), in_form);
            assert!(headers.values().all(http::HeaderValue::is_sensitive));
        }
    }
}
