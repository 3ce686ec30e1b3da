//! Client ID metadata documents: the metadata that a client serves at the URL that is its identifier.
//!
//! Specified in draft-ietf-oauth-client-id-metadata-document-03 §4.

use core::fmt;

use bytes::Bytes;
use serde_json::Value;

use crate::client_id::ClientMetadataUrl;
use crate::document;
use crate::document::{ClientInformation, ClientMetadata, DocumentError};
use crate::method::AuthMethod;

/// Client metadata, verified to name the URL that it was read from.
///
/// Specified in draft-ietf-oauth-client-id-metadata-document-03 §4.
///
/// # Examples
///
/// ```
/// use oauth_types::{ClientIdMetadata, ClientMetadata, ClientMetadataUrl, RedirectUri};
///
/// let url = ClientMetadataUrl::parse("https://client.example/oauth.json").unwrap();
/// let metadata = ClientMetadata::new(&[RedirectUri::parse("http://127.0.0.1/callback").unwrap()]);
/// // The client serves this at the URL ...
/// let json = ClientIdMetadata::new(url.clone(), metadata).unwrap().to_json();
/// // ... and an authorization server reads it.
/// assert_eq!(ClientIdMetadata::from_json(&url, &json).unwrap().url(), &url);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientIdMetadata {
    url: ClientMetadataUrl,
    metadata: ClientMetadata,
}

/// The reason why a document is not the metadata of a client identifier (draft §4, §4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidClientIdMetadata {
    /// The document is longer than [`ClientIdMetadata::MAX_BYTES`].
    TooLarge,
    /// The document is not client metadata.
    Document(DocumentError),
    /// `client_id` differs, byte for byte, from the URL that the document was read from.
    OtherClient,
    /// The document holds a secret, or names a method that needs one; a public document keeps none.
    Secret,
    /// The document has no redirect URI.
    NoRedirectUri,
}

impl fmt::Display for InvalidClientIdMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(
                    f,
                    "the document is longer than {} bytes: the client's developer has to shorten it",
                    ClientIdMetadata::MAX_BYTES
                )
            }
            Self::Document(error) => error.fmt(f),
            Self::OtherClient => f.write_str(
                "`client_id` is not the URL of the document: the client's developer has to \
                 write it as the URL is written",
            ),
            Self::Secret => f.write_str(
                "the document is public and has a secret, or a method that needs one: the \
                 client's developer has to replace the secret and use `none` or \
                 `private_key_jwt`",
            ),
            Self::NoRedirectUri => f.write_str(
                "the document names no redirect URI: the client's developer has to list one \
                 in `redirect_uris`",
            ),
        }
    }
}

impl core::error::Error for InvalidClientIdMetadata {}

impl ClientIdMetadata {
    /// Longest document that is parsed, in bytes (draft §8.7).
    pub const MAX_BYTES: usize = 5 * 1024;

    /// Creates the document of a client that will serve it at `url`.
    ///
    /// # Errors
    ///
    /// [`InvalidClientIdMetadata`] if an authorization server would refuse the document.
    pub fn new(
        url: ClientMetadataUrl,
        metadata: ClientMetadata,
    ) -> Result<Self, InvalidClientIdMetadata> {
        let needs_secret = |method: &AuthMethod| method.as_str().starts_with("client_secret");
        let has_secret =
            |name| metadata.extra.0.get(name).is_some_and(|value: &Value| !value.is_null());
        if metadata.token_endpoint_auth_method.as_ref().is_some_and(needs_secret)
            || has_secret("client_secret")
            || has_secret("client_secret_expires_at")
        {
            return Err(InvalidClientIdMetadata::Secret);
        }
        if metadata.redirect_uris.is_empty() {
            return Err(InvalidClientIdMetadata::NoRedirectUri);
        }
        let document = Self { url, metadata };
        if document.to_json().len() > Self::MAX_BYTES {
            return Err(InvalidClientIdMetadata::TooLarge);
        }
        Ok(document)
    }

    /// Parses the body that was fetched from `url`.
    ///
    /// # Errors
    ///
    /// [`InvalidClientIdMetadata`] names the broken rule (draft §4, §4.1).
    pub fn from_json(
        url: &ClientMetadataUrl,
        json: &[u8],
    ) -> Result<Self, InvalidClientIdMetadata> {
        if json.len() > Self::MAX_BYTES {
            return Err(InvalidClientIdMetadata::TooLarge);
        }
        let (answer, passed_over): (ClientInformation, _) =
            document::read(json).map_err(InvalidClientIdMetadata::Document)?;
        // C-REG-2
        if answer.client_id != url.client_id() {
            return Err(InvalidClientIdMetadata::OtherClient);
        }
        if answer.client_secret.is_some()
            || answer.client_secret_expires_at.is_some()
            || passed_over.contains(&"client_secret_expires_at")
        {
            return Err(InvalidClientIdMetadata::Secret);
        }
        Self::new(url.clone(), answer.metadata)
    }

    /// Returns the names of the members that parsing this body passes over, for logs.
    #[must_use]
    pub fn passed_over(json: &[u8]) -> Vec<&'static str> {
        ClientInformation::passed_over(json)
    }

    /// Returns the client identifier, which is the URL of the document.
    #[must_use]
    pub const fn url(&self) -> &ClientMetadataUrl {
        &self.url
    }

    /// Returns the client's metadata.
    #[must_use]
    pub const fn metadata(&self) -> &ClientMetadata {
        &self.metadata
    }

    /// Returns the client's authentication method; absent means `none`.
    ///
    /// The default differs from RFC 7591 §2, because a public document shares no secret.
    #[must_use]
    pub fn auth_method(&self) -> &AuthMethod {
        self.metadata.token_endpoint_auth_method.as_ref().unwrap_or(&AuthMethod::None)
    }

    /// Returns the document as JSON.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        ClientInformation::new(self.url.client_id(), self.metadata.clone()).to_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MemberRule;

    fn read(json: &str) -> Result<ClientIdMetadata, InvalidClientIdMetadata> {
        let url = ClientMetadataUrl::parse("https://c.example/m").unwrap();
        ClientIdMetadata::from_json(&url, json.as_bytes())
    }

    /// C-REG-2
    #[test]
    fn the_identifier_is_the_url_byte_for_byte() {
        let with = |id: &str| {
            read(&format!(
                r#"{{"client_id":"{id}","redirect_uris":["https://c.example/cb"],"x":1}}"#
            ))
        };
        let document = with("https://c.example/m").unwrap();
        assert_eq!(document.auth_method(), &AuthMethod::None);
        assert!(document.metadata().extra.0.contains_key("x"));
        for other in [
            "https://C.example/m",
            "https://c.example:443/m",
            "https://c.example/m/",
            "c",
            "https://c.example/M",
        ] {
            assert_eq!(with(other), Err(InvalidClientIdMetadata::OtherClient), "{other}");
        }
    }

    #[test]
    fn a_public_document_holds_no_secret() {
        for secret in [
            r#""client_secret":"canary""#,
            r#""client_secret_expires_at":0"#,
            r#""client_secret_expires_at":"never""#,
            r#""token_endpoint_auth_method":"client_secret_post""#,
            r#""token_endpoint_auth_method":"client_secret_jwt""#,
        ] {
            let refused = read(&format!(
                r#"{{"client_id":"https://c.example/m","redirect_uris":["https://c.example/cb"],{secret}}}"#
            ));
            assert_eq!(refused, Err(InvalidClientIdMetadata::Secret), "{secret}");
        }
    }

    #[test]
    fn a_document_is_small_and_has_a_redirect_uri() {
        let start = r#"{"client_id":"https://c.example/m""#;
        assert_eq!(read(&format!("{start}}}")), Err(InvalidClientIdMetadata::NoRedirectUri));
        let long = format!(r#"{start},"client_name":"{}"}}"#, "x".repeat(5120));
        assert_eq!(read(&long), Err(InvalidClientIdMetadata::TooLarge));
        let missing = InvalidClientIdMetadata::Document(DocumentError::Member {
            member: "client_id",
            rule: MemberRule::Missing,
        });
        assert_eq!(read("{}"), Err(missing));
    }
}
