//! Clients whose identifier is the URL of their metadata document (draft-ietf-oauth-client-id-metadata-document-03 §5).
//!
//! Before a document is fetched ([`Config::client_document`]):
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the server accepts such clients | A-META-4 | clients are looked up in the store alone |
//! | the identifier follows the rules for such a URL | A-CIMD-1 | nothing is fetched |
//! | its host is not a literal local address | A-CIMD-1 | nothing is fetched |
//!
//! The fetched response ([`ClientRecord::from_document`]):
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | the status is 200: a redirect is not followed | A-CIMD-1 | `Status` |
//! | the media type is JSON | A-CIMD-1 | `MediaType` |
//! | the body is within 5 KiB, and is the metadata of this very URL without a secret | A-CIMD-1 | `Document` |
//! | the metadata is accepted ([`client`](crate::client)) | A-REG-1, A-REG-3 | `Client` |

use bytes::Bytes;
use http::Response;
use oauth_types::{ClientId, ClientIdMetadata, ClientMetadataUrl, UnixTime};

use crate::client::AcceptedClient;
use crate::client_error::{ClientUnavailable, DocumentRefused, check_json};
use crate::client_keys::MetadataSource;
use crate::config::Config;
use crate::refusal::{Cause, PageError, Refusal};
use crate::store::{ClientRecord, StoreError};

impl Refusal {
    /// Creates the reply (503) to a request whose client cannot be looked up now.
    ///
    /// It is a temporary error, so the client keeps its tokens and tries again.
    #[must_use]
    pub fn client(unavailable: ClientUnavailable) -> Self {
        match unavailable {
            ClientUnavailable::Store(error) => Self::store(error),
            ClientUnavailable::Document => {
                let reply = Self::store(StoreError::Unavailable).into_response();
                Self::new(Cause::ClientDocument, reply)
            }
        }
    }
}

impl PageError {
    /// Creates the error page for a request whose client cannot be looked up now.
    #[must_use]
    pub const fn client(unavailable: ClientUnavailable) -> Self {
        match unavailable {
            ClientUnavailable::Store(error) => Self::store(error),
            ClientUnavailable::Document => Self::new(Cause::ClientDocument),
        }
    }
}

impl Config {
    /// Returns the URL of the metadata document of a client that is not in the store.
    ///
    /// `None` if nothing may be fetched: then the client is unknown.
    #[must_use]
    pub fn client_document(&self, client_id: &ClientId) -> Option<ClientMetadataUrl> {
        // A-CIMD-1
        let url = self.client_documents.then(|| ClientMetadataUrl::parse(client_id.as_str()).ok());
        url.flatten().filter(|url| !url.as_url().origin().is_local_address())
    }

    /// Returns the reason why a client is unknown, for the log.
    pub(crate) fn unknown_client(&self, client_id: &ClientId) -> Cause {
        match ClientMetadataUrl::parse(client_id.as_str()) {
            _ if !self.client_documents || !client_id.is_url_like() => Cause::UnknownClient,
            Ok(_) => Cause::ClientDocument,
            Err(rule) => Cause::ClientUrl(rule),
        }
    }
}

impl ClientRecord {
    /// Reads a client from the response to a GET of its metadata document.
    ///
    /// Values that are not offered here are left out, as in a registration. Keys are those in the document or, when a
    /// request needs them, those at its `jwks_uri` ([`KeysNeeded`](crate::KeysNeeded)).
    ///
    /// # Errors
    ///
    /// [`DocumentRefused`] names the check that failed. Do not cache it, because the next document may be valid.
    pub fn from_document(
        config: &Config,
        url: &ClientMetadataUrl,
        answer: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<Self, DocumentRefused> {
        // A-CIMD-1
        check_json(answer)?;
        let document = ClientIdMetadata::from_json(url, answer.body());
        let document = document.map_err(DocumentRefused::Document)?;
        let said = document.metadata().clone();
        let accepted = AcceptedClient::new(config, said, MetadataSource::Document);
        let accepted = accepted.map_err(DocumentRefused::Client)?;
        Ok(accepted.into_record(url.client_id(), None, now))
    }
}

#[cfg(test)]
mod tests {
    use client_auth::InvalidKeys;
    use http::header::CONTENT_TYPE;
    use oauth_types::{Entropy, InvalidClientIdMetadata, Issuer, ResourceUri, ScopeSet};

    use super::*;
    use crate::client_error::InvalidClient;
    use crate::metadata::REGISTERED_GRANT_TYPES;
    use crate::server_keys::{ServerKey, ServerKeys};

    const NOW: UnixTime = UnixTime::from_secs(7);

    fn config() -> Config {
        let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let issuer = Issuer::parse("https://as.example").unwrap();
        let scopes = ScopeSet::parse("files:read").unwrap();
        Config::new(issuer, vec![resource], scopes, keys).unwrap().with_client_documents()
    }

    fn read(status: u16, media_type: &str, body: &str) -> Result<ClientRecord, DocumentRefused> {
        let url = ClientMetadataUrl::parse("https://c.example/m").unwrap();
        let answer = Response::builder().status(status).header(CONTENT_TYPE, media_type);
        let answer = answer.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        ClientRecord::from_document(&config(), &url, &answer, NOW)
    }

    fn json(members: &str) -> Result<ClientRecord, DocumentRefused> {
        let start = r#"{"client_id":"https://c.example/m""#;
        read(200, "application/json", &format!("{start},{members}}}"))
    }

    const REDIRECT: &str = r#""redirect_uris":["https://c.example/cb"]"#;

    #[test]
    fn a_document_for_many_servers_is_a_client_of_this_one() {
        // The grants that one widely used client publishes.
        let grants = r#""grant_types":["authorization_code","refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code","code id_token"]"#;
        let client = json(&format!(
            r#"{REDIRECT},{grants},"client_name":"A\u202eB","x":1,"logo_uri":"https://c.example/l""#
        ));
        let client = client.unwrap();
        assert_eq!(client.client_id.as_str(), "https://c.example/m");
        assert_eq!(client.authentication, client_auth::ClientAuthRecord::public());
        assert_eq!(client.metadata.client_name.as_deref(), Some("AB"));
        assert_eq!(client.metadata.grant_types.as_deref(), Some(&REGISTERED_GRANT_TYPES[..]));
        assert_eq!((client.registered_at, client.unused_until), (NOW, None));
        assert!(client.metadata.extra.0.is_empty());
    }

    #[test]
    fn only_json_with_the_status_200_is_read() {
        let body = format!(r#"{{"client_id":"https://c.example/m",{REDIRECT}}}"#);
        for media_type in
            ["application/json", "APPLICATION/JSON; charset=utf-8", "application/cimd+json"]
        {
            assert!(read(200, media_type, &body).is_ok(), "{media_type}");
        }
        for media_type in ["text/html", "", "application/jsonp", "text/json", "json"] {
            assert_eq!(read(200, media_type, &body), Err(DocumentRefused::MediaType));
        }
        for status in [201, 203, 204, 301, 302, 304, 307, 308, 404, 410] {
            let refused = read(status, "application/json", &body).unwrap_err();
            assert!(matches!(refused, DocumentRefused::Status(found) if found == status));
            assert_eq!(refused.into_fact(), Ok(None), "{status}");
        }
        for status in [429, 500, 503] {
            let refused = read(status, "application/json", &body).unwrap_err();
            assert_eq!(refused.into_fact(), Err(ClientUnavailable::Document), "{status}");
        }
    }

    #[test]
    fn a_document_is_held_to_the_policy_of_registration() {
        for (members, why) in [
            (r#""redirect_uris":["http://c.example/cb"]"#, None),
            (r#""redirect_uris":["javascript:alert(1)"]"#, None),
            (r#""redirect_uris":["com.example.app:/cb"]"#, Some(InvalidClient::PrivateUseRedirect)),
            (
                &*format!(r#"{REDIRECT},"grant_types":["refresh_token"]"#),
                Some(InvalidClient::Grants),
            ),
            (
                &*format!(r#"{REDIRECT},"response_types":["token"]"#),
                Some(InvalidClient::ResponseTypes),
            ),
            (
                &*format!(r#"{REDIRECT},"token_endpoint_auth_method":"tls_client_auth""#),
                Some(InvalidClient::AuthMethod),
            ),
            (
                &*format!(r#"{REDIRECT},"client_uri":"https://10.0.0.1/""#),
                Some(InvalidClient::ForeignUrl),
            ),
            (
                &*format!(r#"{REDIRECT},"jwks":{{"keys":[{{"kty":"EC","d":"x"}}]}}"#),
                Some(InvalidClient::Keys(InvalidKeys::Private)),
            ),
        ] {
            match (json(members), why) {
                (Err(DocumentRefused::Client(found)), Some(why)) => assert_eq!(found, why),
                (Err(DocumentRefused::Client(InvalidClient::RedirectUri(_))), None) => {}
                (other, _) => panic!("{members}: {other:?}"),
            }
        }
        let secret = json(&format!(r#"{REDIRECT},"client_secret":"canary""#));
        assert_eq!(secret, Err(DocumentRefused::Document(InvalidClientIdMetadata::Secret)));
    }

    #[test]
    fn nothing_is_fetched_for_an_identifier_that_breaks_the_rules() {
        let id = |text: &str| ClientId::parse(text).unwrap();
        let url = id("https://c.example/m");
        assert_eq!(config().client_document(&url).unwrap().client_id(), url);
        assert!(config().metadata().client_id_metadata_document_supported);
        let without = config().without_client_documents();
        assert!(!without.metadata().client_id_metadata_document_supported);
        assert_eq!(without.client_document(&url), None);
        assert_eq!(without.unknown_client(&url), Cause::UnknownClient);
        for (bad, is_local) in [
            ("http://c.example/m", false),
            ("https://c.example", false),
            ("https://c.example/m#f", false),
            ("https:/c.example/m", false),
            (" https://c.example/m", false),
            ("https://0x7f.1/m", false),
            ("https://2130706433/m", false),
            ("https://[::ffff:127.0.0.1]/m", false),
            ("https://127.0.0.1/m", true),
            ("https://localhost/m", true),
            ("https://a.localhost./m", true),
            ("https://169.254.169.254/m", true),
            ("https://[64:ff9b::7f00:1]/m", true),
            ("https://[fd00::1]/m", true),
        ] {
            assert_eq!(config().client_document(&id(bad)), None, "{bad}");
            match config().unknown_client(&id(bad)) {
                Cause::ClientDocument => assert!(is_local, "{bad}"),
                Cause::ClientUrl(_) => assert!(!is_local, "{bad}"),
                other => panic!("{bad}: {other}"),
            }
        }
        assert_eq!(config().unknown_client(&id("c")), Cause::UnknownClient);
    }
}
