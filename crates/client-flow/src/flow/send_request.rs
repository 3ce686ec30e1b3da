//! HTTP requests of the flow, and the dispatch of their responses.

use core::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use oauth_types::{
    AuthorizationServerMetadata, ClientInformation, EndpointUrl, FormWriter,
    ProtectedResourceMetadata, SentSecrets, TokenExchangeResponse, TokenResponse, UnixTime,
};

use crate::error::{FlowError, FlowErrorKind};
use crate::flow::discovery::FindResource;
use crate::flow::get_assertion::Asserting;
use crate::flow::redeem::Redeeming;
use crate::flow::registration::Registering;
use crate::flow::server::MetadataDiscovery;
use crate::flow::step::Step;
use crate::stage::FlowStage;
use crate::transport::{TransportError, TransportErrorKind};

/// HTTP request for the host to send.
///
/// Follow no redirect: the flow itself continues from a redirect that it may follow. Read at most
/// [`MAX_BODY`](Self::MAX_BODY) bytes, and pass the response, or the failure, to [`resume`](Self::resume).
#[must_use = "the flow goes on only when the step is taken"]
pub struct SendRequest {
    request: Request<Bytes>,
    then: Then,
}

/// State that reads the response.
pub(crate) enum Then {
    Resource(Box<FindResource>),
    Server(Box<MetadataDiscovery>),
    Registration(Box<Registering>),
    Assertion(Box<Asserting>),
    Tokens(Box<Redeeming>),
}

impl Then {
    const fn stage(&self) -> FlowStage {
        match self {
            Self::Resource(_) => FlowStage::ResourceMetadata,
            Self::Server(_) => FlowStage::ServerMetadata,
            Self::Registration(_) => FlowStage::Registration,
            Self::Assertion(_) => FlowStage::TokenExchange,
            Self::Tokens(redeeming) => redeeming.stage(),
        }
    }
}

impl SendRequest {
    /// Longest response body that is read, in bytes.
    pub const MAX_BODY: usize = 128 * 1024;

    /// Returns `true` if this registers a client whose user logs in next.
    pub(crate) fn leads_to_browser(&self) -> bool {
        matches!(&self.then, Then::Registration(registering) if registering.needs_browser())
    }

    /// Creates a GET request for a public document.
    pub(crate) fn get(url: &EndpointUrl, then: Then) -> Result<Step, FlowError> {
        Self::send(Method::GET, url, Bytes::new(), then)
    }

    /// Creates a POST request with a JSON body.
    pub(crate) fn post_json(url: &EndpointUrl, json: Bytes, then: Then) -> Result<Step, FlowError> {
        let mut step = Self::send(Method::POST, url, json, then)?;
        if let Step::SendRequest(exchange) = &mut step {
            let json = HeaderValue::from_static("application/json");
            exchange.request.headers_mut().insert(CONTENT_TYPE, json);
        }
        Ok(step)
    }

    /// Creates a POST request with a form body.
    pub(crate) fn post_form(
        url: &EndpointUrl,
        headers: http::HeaderMap,
        form: FormWriter,
        then: Then,
    ) -> Result<Step, FlowError> {
        let mut step = Self::send(Method::POST, url, form.finish().into(), then)?;
        if let Step::SendRequest(exchange) = &mut step {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            let own = exchange.request.headers_mut();
            own.extend(headers);
            own.insert(CONTENT_TYPE, form);
        }
        Ok(step)
    }

    fn send(method: Method, url: &EndpointUrl, body: Bytes, then: Then) -> Result<Step, FlowError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        let uri = url.to_uri();
        *request.uri_mut() = uri.map_err(|rule| FlowErrorKind::NamedUrl(rule).at(then.stage()))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Step::SendRequest(Box::new(Self { request, then })))
    }

    /// Returns the stage of the flow that the request belongs to.
    #[must_use]
    pub const fn stage(&self) -> FlowStage {
        self.then.stage()
    }

    /// Returns the request; its body and its `Authorization` header may be secret.
    #[must_use]
    pub const fn request(&self) -> &Request<Bytes> {
        &self.request
    }

    /// Returns the malformed members that are ignored in the response, for the host's log.
    ///
    /// The names are constants of this project, never text of the peer.
    ///
    /// A malformed member reads as absent, unless it authenticates a party or determines where secrets are sent.
    #[must_use]
    pub fn passed_over(&self, response: &Response<Bytes>) -> Vec<&'static str> {
        let json = response.body();
        match &self.then {
            Then::Resource(_) => ProtectedResourceMetadata::passed_over(json),
            Then::Server(_) => AuthorizationServerMetadata::passed_over(json),
            Then::Registration(_) => ClientInformation::passed_over(json),
            Then::Assertion(_) => TokenExchangeResponse::passed_over(json),
            Then::Tokens(_) => TokenResponse::passed_over(json),
        }
    }

    /// Continues with the response or the failure of the request.
    ///
    /// # Errors
    ///
    /// [`FlowError`] when the failure or the response ends the flow; nothing else has been sent.
    pub fn resume(
        self,
        outcome: Result<Response<Bytes>, TransportError>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let stage = self.stage();
        let outcome = match outcome {
            Ok(response) if response.body().len() > Self::MAX_BODY => {
                Err(TransportErrorKind::TooLarge.into())
            }
            outcome => outcome,
        };
        // C-DISC-10: treated as an absent document, because there may be one at the next URL.
        let (response, then) = match (outcome, self.then) {
            (Err(error), then) => match (error.kind(), then) {
                (TransportErrorKind::TooLarge, Then::Resource(state)) => return state.read(None),
                (TransportErrorKind::TooLarge, Then::Server(state)) => {
                    return state.read(None, now);
                }
                _ => return Err(FlowErrorKind::Transport(error).at(stage)),
            },
            (Ok(response), then) => (response, then),
        };
        let step = match then {
            Then::Resource(state) => state.read(Some(&response)),
            Then::Server(state) => state.read(Some(&response), now),
            Then::Registration(state) => state.read(&response, now),
            Then::Assertion(state) => state.read(&response),
            Then::Tokens(state) => state.read(&response, now),
        };
        // SEC-247
        step.map_err(|error| {
            error.without(&SentSecrets::new(self.request.headers(), self.request.body()))
        })
    }
}

impl fmt::Debug for SendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The request may hold a code, a verifier or a secret.
        f.debug_struct("Exchange").field("stage", &self.stage()).finish_non_exhaustive()
    }
}
