//! Metadata discovery: the search for a document among its well-known URLs (RFC 8414 §3, RFC 9728 §3).
//!
//! Clients and resource servers follow this one rule:
//!
//! | response at a URL | leads to | if every URL fails |
//! |---|---|---|
//! | 200 with the document, which names the expected issuer or resource | `Found` | |
//! | 301, 307 or 308 to a URL on the same origin, at most three in a row | that URL | |
//! | 4xx except 408, 425 and 429 | the next URL | no document is published |
//! | 200 with a page, not a JSON object | the next URL | no document is published; the first page is reported |
//! | a document that names another issuer (RFC 8414 §3.3) | the next URL | reported |
//! | a document that names another resource (RFC 9728 §3.3) | the end: the resource denies the match | reported |
//! | 200 with a JSON object that is not such a document | the next URL | reported |
//! | any other status: 5xx, 408, 425, 429, a redirect that is not followed | the next URL | reported |
//!
//! All URLs of one search belong to one origin or one issuer. The first response of a row marked as reported is the
//! failure ([`MetadataNotFound::failure`]). It also rules out that no document is published
//! ([`MetadataNotFound::is_absent`]), so a server in trouble is never taken for one of MCP 2025-03-26.

use core::fmt;
use std::vec::IntoIter;

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::document::{AuthorizationServerMetadata, DocumentError, ProtectedResourceMetadata};
use crate::uri::{EndpointUrl, InvalidUri, Issuer, Location, ResourceUri};
use crate::well_known::{protected_resource_places, server_places};

/// Search for a metadata document, at the URL that is to be requested now.
///
/// Send a GET of [`url`](Self::url), follow no redirect, and hand the response to [`resume`](Self::resume).
///
/// # Examples
///
/// ```
/// use http::Response;
/// use oauth_types::{Issuer, MetadataSearch, MetadataStep, ServerPlaces, issued_by};
///
/// let issuer = Issuer::parse("https://as.example")?;
/// let search = MetadataSearch::of_server(&issuer, ServerPlaces::WellKnown)?;
/// // The first place answers with a page for people.
/// let page = Response::new("<!doctype html>".into());
/// let Ok(MetadataStep::Next(search)) = search.resume(&page, issued_by(&issuer)) else { panic!() };
/// assert_eq!(search.url().as_str(), "https://as.example/.well-known/openid-configuration");
/// let document = Response::new(r#"{"issuer":"https://as.example"}"#.into());
/// let found = search.resume(&document, issued_by(&issuer));
/// assert!(matches!(found, Ok(MetadataStep::Found { document, .. }) if document.issuer == issuer));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "ask at `url`, then `resume`"]
pub struct MetadataSearch {
    /// One of the well-known URLs.
    place: EndpointUrl,
    /// The well-known URL, or the target of its redirect.
    url: EndpointUrl,
    redirects: u8,
    rest: IntoIter<EndpointUrl>,
    so_far: MetadataNotFound,
}

/// Places at which the metadata of an authorization server is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ServerPlaces<'a> {
    /// The well-known URLs of the issuer, in the order of
    /// [`authorization_server_urls`](crate::authorization_server_urls).
    WellKnown,
    /// The first of them alone, the only one that MCP 2025-03-26 has.
    Legacy,
    /// This URL alone, because the host has named it for the issuer.
    At(&'a EndpointUrl),
}

/// Next step of a [`MetadataSearch`].
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum MetadataStep<T> {
    /// The document was found.
    Found {
        /// The document.
        document: T,
        /// The well-known URL that led to the document.
        place: EndpointUrl,
    },
    /// Another URL is to be requested.
    Next(MetadataSearch),
}

/// The reason why a response is not the expected metadata, without text of the response.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MetadataFailure {
    /// The status is neither 200 nor one that means that no document is published.
    Status(StatusCode),
    /// The body is not the document.
    Document {
        /// URL that answered.
        url: EndpointUrl,
        /// Rule that the document breaks.
        error: DocumentError,
    },
    /// The metadata belongs to another issuer (RFC 8414 §3.3).
    IssuerMismatch {
        /// Issuer in the document.
        received: Issuer,
    },
    /// The metadata belongs to another resource (RFC 9728 §3.3).
    ResourceMismatch {
        /// URL that answered.
        url: EndpointUrl,
    },
}

/// Error of a search that found no document at any URL.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MetadataNotFound {
    /// First failure; `None` if every URL answered with a 4xx.
    pub failure: Option<MetadataFailure>,
    /// `true` if every URL answered with a 4xx or a page, so no document is published.
    pub is_absent: bool,
}

impl MetadataSearch {
    /// Starts a search at these well-known URLs, in this order; `None` if there are none.
    #[must_use]
    pub fn new(places: Vec<EndpointUrl>) -> Option<Self> {
        let mut rest = places.into_iter();
        let place = rest.next()?;
        Some(Self::begin(place, rest))
    }

    /// Starts a search for the metadata of an authorization server; read each response with [`issued_by`].
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] where the issuer has no well-known URLs, as
    /// [`authorization_server_urls`](crate::authorization_server_urls) says.
    pub fn of_server(issuer: &Issuer, places: ServerPlaces<'_>) -> Result<Self, InvalidUri> {
        let (place, rest) = match places {
            ServerPlaces::WellKnown => server_places(issuer)?,
            ServerPlaces::Legacy => (server_places(issuer)?.0, Vec::new()),
            ServerPlaces::At(url) => (url.clone(), Vec::new()),
        };
        Ok(Self::begin(place, rest.into_iter()))
    }

    /// Starts a search for the metadata of a protected resource, first at the URL that a challenge named; read each
    /// response with [`describing`].
    ///
    /// # Errors
    ///
    /// As [`protected_resource_urls`](crate::protected_resource_urls).
    pub fn of_resource(
        resource: &ResourceUri,
        challenged: Option<&EndpointUrl>,
    ) -> Result<Self, InvalidUri> {
        let (place, rest) = protected_resource_places(resource, challenged)?;
        Ok(Self::begin(place, rest.into_iter()))
    }

    fn begin(place: EndpointUrl, rest: IntoIter<EndpointUrl>) -> Self {
        let (url, redirects) = (place.clone(), 0);
        let so_far = MetadataNotFound { failure: None, is_absent: true };
        Self { place, url, redirects, rest, so_far }
    }

    /// Returns `true` if the place is asked now or may be asked later.
    #[must_use]
    pub fn includes(&self, place: &EndpointUrl) -> bool {
        self.place == *place || self.rest.as_slice().contains(place)
    }

    /// Returns the URL to request now.
    #[must_use]
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Goes on with the response to a request for [`url`](Self::url).
    ///
    /// `read` parses the document and checks which issuer or resource it names: [`issued_by`] or [`describing`].
    ///
    /// # Errors
    ///
    /// [`MetadataNotFound`] if no URL is left.
    pub fn resume<T>(
        mut self,
        response: &Response<Bytes>,
        read: impl FnOnce(&EndpointUrl, &[u8]) -> Result<T, MetadataFailure>,
    ) -> Result<MetadataStep<T>, MetadataNotFound> {
        // C-DISC-10, C-DISC-12
        let status = response.status();
        if status == StatusCode::OK {
            return match read(&self.url, response.body()) {
                Ok(document) => Ok(MetadataStep::Found { document, place: self.place }),
                // C-DISC-4
                Err(failure @ MetadataFailure::ResourceMismatch { .. }) => {
                    Err(MetadataNotFound { failure: Some(failure), is_absent: false })
                }
                Err(failure) if is_page(response.body()) => self.next(Miss::Page(failure)),
                Err(failure) => self.next(Miss::Failed(failure)),
            };
        }
        let moved = Location::of_document(&self.url, status, response.headers());
        if let Some(url) = moved.filter(|_| self.redirects < Location::MAX_REDIRECTS) {
            self.url = url;
            self.redirects += 1;
            return Ok(MetadataStep::Next(self));
        }
        let is_later = matches!(status.as_u16(), 408 | 425 | 429);
        if status.is_client_error() && !is_later {
            return self.next(Miss::Absent);
        }
        self.next(Miss::Failed(MetadataFailure::Status(status)))
    }

    /// Goes on after a body that exceeded the limit of documents and was not read to its end.
    ///
    /// # Errors
    ///
    /// [`MetadataNotFound`] if no URL is left.
    pub fn too_large<T>(self) -> Result<MetadataStep<T>, MetadataNotFound> {
        let url = self.url.clone();
        let failure = MetadataFailure::Document { url, error: DocumentError::TooLarge };
        self.next(Miss::Failed(failure))
    }

    fn next<T>(mut self, miss: Miss) -> Result<MetadataStep<T>, MetadataNotFound> {
        let (failure, is_absent) = match miss {
            Miss::Absent => (None, true),
            Miss::Page(failure) => (Some(failure), true),
            Miss::Failed(failure) => (Some(failure), false),
        };
        // A page is reported only if no other response failed.
        let tells_more = self.so_far.is_absent && !is_absent;
        if self.so_far.failure.is_none() || tells_more {
            self.so_far.failure = failure;
        }
        self.so_far.is_absent &= is_absent;
        let Some(place) = self.rest.next() else { return Err(self.so_far) };
        Ok(MetadataStep::Next(Self { url: place.clone(), place, redirects: 0, ..self }))
    }
}

/// A place without the document.
enum Miss {
    /// Nothing is there.
    Absent,
    /// A page stands for what is missing.
    Page(MetadataFailure),
    Failed(MetadataFailure),
}

/// Reads authorization server metadata of this issuer, compared byte for byte (RFC 8414 §3.3).
pub fn issued_by(
    issuer: &Issuer,
) -> impl FnOnce(&EndpointUrl, &[u8]) -> Result<AuthorizationServerMetadata, MetadataFailure> {
    move |url, json| {
        let metadata = AuthorizationServerMetadata::from_json(json)
            .map_err(|error| MetadataFailure::Document { url: url.clone(), error })?;
        // C-DISC-7
        if metadata.issuer != *issuer {
            return Err(MetadataFailure::IssuerMismatch { received: metadata.issuer });
        }
        Ok(metadata)
    }
}

/// Reads the metadata of a protected resource that covers the called one (RFC 9728 §3.3).
///
/// See [`ResourceUri::covers`].
pub fn describing(
    called: &ResourceUri,
) -> impl FnOnce(&EndpointUrl, &[u8]) -> Result<ProtectedResourceMetadata, MetadataFailure> {
    move |url, json| {
        let metadata = ProtectedResourceMetadata::from_json(json)
            .map_err(|error| MetadataFailure::Document { url: url.clone(), error })?;
        // C-DISC-4
        if !metadata.resource.covers(called) {
            return Err(MetadataFailure::ResourceMismatch { url: url.clone() });
        }
        Ok(metadata)
    }
}

/// Returns `true` if a body does not begin like a JSON object.
///
/// Web applications answer with such a page at URLs that they do not know.
fn is_page(body: &[u8]) -> bool {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    !body.trim_ascii_start().starts_with(b"{")
}

impl fmt::Display for MetadataNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            None => f.write_str(
                "no well-known URL has the metadata: check the server's address; if it is \
                 right, its operator has to publish the metadata (RFC 8414 §3, RFC 9728 §3)",
            ),
            Some(failure) => failure.fmt(f),
        }
    }
}

impl core::error::Error for MetadataNotFound {}

impl core::error::Error for MetadataFailure {}

impl fmt::Display for MetadataFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Queries are omitted, because they may hold secrets of the user.
        match self {
            Self::Status(status) => write!(
                f,
                "the metadata URL answered {} instead of 200: the server's operator has to \
                 correct that, unless it passes with time",
                status.as_u16()
            ),
            Self::Document { url, error } => write!(
                f,
                "the metadata at {} cannot be used, because {error}; the server's operator has to \
                 correct it",
                url.without_query()
            ),
            Self::IssuerMismatch { received } => {
                write!(
                    f,
                    "the metadata names another issuer, {received} (RFC 8414 §3.3): check \
                     the configured issuer; if it is right, the server's operator has to \
                     correct `issuer`"
                )
            }
            Self::ResourceMismatch { url } => write!(
                f,
                "the metadata at {} describes another resource (RFC 9728 §3.3): check \
                     the server's address; if it is right, its operator has to correct \
                     `resource`",
                url.without_query()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
