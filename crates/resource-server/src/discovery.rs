//! From an issuer to what that authorization server says about itself (RFC 8414 §3; OpenID Connect Discovery §4).
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the issuer's well-known URLs, one after the other | C-DISC-5, C-DISC-6 | [`ServerNotFound`] |
//! | the answer is a 200 with a bounded JSON document | C-DISC-10 | the next URL |
//! | its `issuer` is identical to the one asked for | C-DISC-7 | the next URL |

use core::fmt;
use std::vec::IntoIter;

use bytes::Bytes;
use http::{Response, StatusCode};
use oauth_types::{
    AuthorizationServerMetadata, EndpointUrl, InvalidUri, Issuer, authorization_server_urls,
};

/// The search for the metadata of an authorization server that is not ours.
///
/// ```
/// use http::Response;
/// use oauth_types::Issuer;
/// use resource_server::{FindServer, Search};
///
/// let issuer = Issuer::parse("https://as.example")?;
/// let search = FindServer::new(issuer)?;
/// assert_eq!(search.url().as_str(), "https://as.example/.well-known/oauth-authorization-server");
/// let body = br#"{"issuer":"https://as.example","jwks_uri":"https://as.example/jwks"}"#;
/// let Search::Found(metadata) = search.resume(&Response::new(body[..].into()))? else { panic!() };
/// assert_eq!(metadata.jwks_uri.unwrap().as_str(), "https://as.example/jwks");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "ask at `url`, then `resume`"]
pub struct FindServer {
    issuer: Issuer,
    url: EndpointUrl,
    rest: IntoIter<EndpointUrl>,
    saw_foreign_issuer: bool,
}

/// What an answer leads to.
#[derive(Clone, Debug)]
pub enum Search {
    /// The metadata.
    Found(Box<AuthorizationServerMetadata>),
    /// Another place to ask at.
    Next(FindServer),
}

/// No place has the metadata of this issuer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ServerNotFound {
    /// No place has any.
    NoMetadata,
    /// Some place has that of another issuer: is the issuer spelled as the server spells it?
    OtherIssuer,
}

impl fmt::Display for ServerNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMetadata => "the authorization server publishes no metadata",
            Self::OtherIssuer => "the metadata is of an issuer that is spelled differently",
        })
    }
}

impl core::error::Error for ServerNotFound {}

impl FindServer {
    /// A search that begins.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] when the issuer has no well-known URLs.
    pub fn new(issuer: Issuer) -> Result<Self, InvalidUri> {
        // C-DISC-5, C-DISC-6
        let mut rest = authorization_server_urls(&issuer)?.into_iter();
        let url = rest.next().ok_or(InvalidUri::Syntax)?;
        Ok(Self { issuer, url, rest, saw_foreign_issuer: false })
    }

    /// Where to ask now.
    #[must_use]
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Goes on with the answer.
    ///
    /// # Errors
    ///
    /// [`ServerNotFound`] when it was asked at all places.
    pub fn resume(mut self, answer: &Response<Bytes>) -> Result<Search, ServerNotFound> {
        // C-DISC-10. Pages for people are what some servers answer with wherever they have no document.
        let document = (answer.status() == StatusCode::OK)
            .then(|| AuthorizationServerMetadata::from_json(answer.body()).ok())
            .flatten();
        if let Some(metadata) = document {
            // C-DISC-7
            if metadata.issuer == self.issuer {
                return Ok(Search::Found(Box::new(metadata)));
            }
            self.saw_foreign_issuer = true;
        }
        match self.rest.next() {
            Some(url) => Ok(Search::Next(Self { url, ..self })),
            None if self.saw_foreign_issuer => Err(ServerNotFound::OtherIssuer),
            None => Err(ServerNotFound::NoMetadata),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(issuer: &str, answers: &[(u16, &str)]) -> Result<(usize, Box<str>), ServerNotFound> {
        let mut search = FindServer::new(Issuer::parse(issuer).unwrap()).unwrap();
        for (asked, (status, body)) in answers.iter().enumerate() {
            let mut answer = Response::new(Bytes::from((*body).to_owned()));
            *answer.status_mut() = StatusCode::from_u16(*status).unwrap();
            match search.resume(&answer)? {
                Search::Found(metadata) => return Ok((asked + 1, metadata.issuer.as_str().into())),
                Search::Next(next) => search = next,
            }
        }
        panic!("asks at {} too", search.url());
    }

    #[test]
    fn c_disc_5_c_disc_6_every_place_is_asked_until_one_has_a_document() {
        let own = r#"{"issuer":"https://as.example/t"}"#;
        let issuer = "https://as.example/t";
        assert_eq!(search(issuer, &[(200, own)]), Ok((1, issuer.into())));
        for miss in [(404, own), (302, ""), (500, ""), (200, "<html>"), (200, "{}")] {
            assert_eq!(search(issuer, &[miss, miss, (200, own)]), Ok((3, issuer.into())));
            assert_eq!(search(issuer, &[miss; 3]), Err(ServerNotFound::NoMetadata), "{miss:?}");
        }
    }

    #[test]
    fn c_disc_7_an_issuer_is_compared_byte_for_byte() {
        for other in [
            "https://as.example/",
            "https://AS.example",
            "https://as.example:443",
            "https://as.example/t",
            "https://evil.example",
        ] {
            let document = format!(r#"{{"issuer":"{other}"}}"#);
            let answers = [(200, &*document), (200, &*document)];
            let outcome = search("https://as.example", &answers);
            assert_eq!(outcome, Err(ServerNotFound::OtherIssuer), "{other}");
        }
    }
}
