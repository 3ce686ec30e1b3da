//! The authorization endpoint (RFC 6749 §4.1.1): parses and checks a request, up to the user's consent.
//!
//! | check, in this order | requirement | error | may redirect |
//! |---|---|---|---|
//! | GET or POST | A-AUTHZ-9 | 405 | no |
//! | the parameters are a form; `client_id` and `redirect_uri` are not repeated | A-AUTHZ-1 | 400 page | no |
//! | the client is known: registered or by its document ([`client_document`]) | A-AUTHZ-1, A-CIMD-1 | 400 page | no |
//! | `redirect_uri` is the client's, of an allowed scheme | A-AUTHZ-1, A-AUTHZ-2, A-REG-1 | 400 page | no |
//! | no parameter is repeated | A-AUTHZ-7 | `invalid_request` | yes |
//! | `response_type` is `code` | | `invalid_request`, `unsupported_response_type` | yes |
//! | the client may use codes | | `unauthorized_client` | yes |
//! | `code_challenge` is present, with S256 | A-AUTHZ-6 | `invalid_request` | yes |
//! | `scope` names one that the client is offered ([`offer`]), or is absent | RFC 6749 §3.3 | `invalid_scope` | yes |
//! | `prompt=none` stands alone | | `invalid_request` | yes |
//! | `resource` is a resource of the configuration | A-AUTHZ-8 | `invalid_target` | yes |
//! | `dpop_jkt`, if present, is a thumbprint | RFC 9449 §10 | `invalid_request` | yes |
//!
//! Scopes that are not offered are left out. Without `scope`, the default scope is requested.
//!
//! Registration is open, so a redirect with an error could lead a victim from here to any site (RFC 9700 §4.11.2). One
//! rule holds for every error that may be redirected:
//!
//! - A loopback address gets an error at once, because it leads to no other site, and any local program can reach that
//!   address without a browser.
//! - A private-use scheme gets it at once if a user is logged in, because it leads to an installed application, and the
//!   browser asks before it opens one.
//! - A URI elsewhere, of a client that the operator put into the store, gets it at once if a user is logged in, because
//!   the operator vouches for the URI.
//! - A URI elsewhere, of a client that registered itself or is known by a document, gets it at once if the user who is
//!   logged in has a remembered consent for this client, redirect URI and resource
//!   ([`Config::with_remembered_consent`]).
//! - In all other cases, and with `prompt=none` in all but the first, the error is a page with a link for the user to
//!   follow.
//!
//! [`client_document`]: crate::client_document
//! [`offer`]: crate::offer

use bytes::Bytes;
use http::{Method, Request};
use oauth_types::{
    AuthorizationErrorCode, ClientId, CodeChallenge, FormPairs, FormWriter, RedirectUri,
    Thumbprint, UnixTime,
};

use crate::config::Config;
use crate::consent::NeedsConsent;
use crate::destination::Destination;
use crate::offer::requested_scopes;
use crate::prompt::Prompt;
use crate::refusal::{Cause, PageError, RedirectError};
use crate::resource_indicator::ResourceIndicator;
use crate::store::ClientRecord;

/// Authorization request whose client has to be looked up.
///
/// Until the client is known, errors are pages and never redirects.
#[derive(Debug)]
#[must_use = "the request goes on only with its client"]
pub struct AuthorizationRequest<'a, 'r> {
    config: &'a Config,
    form: FormPairs<'r>,
    client_id: ClientId,
    redirect_uri: Option<String>,
}

impl<'a, 'r> AuthorizationRequest<'a, 'r> {
    /// Parses a request: the query of a GET, the form of a POST.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page, when the method is another one, the form is malformed, or `client_id` or
    /// `redirect_uri` is invalid or repeated.
    pub fn parse(config: &'a Config, request: &'r Request<Bytes>) -> Result<Self, PageError> {
        let bad = |name| PageError::new(Cause::Parameter(name));
        // A-AUTHZ-9
        let form = match *request.method() {
            Method::GET => request.uri().query().unwrap_or_default().as_bytes(),
            Method::POST => request.body(),
            _ => return Err(PageError::method("GET, POST")),
        };
        let form = FormPairs::parse(form).map_err(|_| PageError::new(Cause::Body))?;
        let client_id = form.value("client_id").map_err(|_| bad("client_id"))?;
        let client_id = client_id.and_then(|id| ClientId::parse(id).ok());
        let client_id = client_id.ok_or(bad("client_id"))?;
        let redirect_uri = form.value("redirect_uri").map_err(|_| bad("redirect_uri"))?;
        let redirect_uri = redirect_uri.map(str::to_owned);
        Ok(Self { config, form, client_id, redirect_uri })
    }

    /// Returns the identifier of the client to look up.
    ///
    /// Read the store first, then, if the client is not in it, the client's [document](Config::client_document).
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the path and query with which the browser repeats this request after the login.
    ///
    /// The parameters of a POST become a query too.
    #[must_use]
    pub fn return_to(&self) -> String {
        let mut form = FormWriter::new();
        for (name, value) in self.form.iter() {
            form.append(name, value);
        }
        [self.config.authorize.path(), "?", form.as_str()].concat()
    }

    /// Checks the client that was found, and that the redirect URI is its own.
    ///
    /// # Errors
    ///
    /// [`PageError`] when the client is unknown or expired, when the redirect URI is not one of the client's, or when
    /// its scheme is not allowed.
    pub fn with_client(
        self,
        client: Option<ClientRecord>,
        now: UnixTime,
    ) -> Result<Redirectable<'a, 'r>, PageError> {
        // A-AUTHZ-1
        let client = client.filter(|client| client.client_id == self.client_id);
        let client = client.filter(|client| !client.is_forgotten(now));
        let client = client.ok_or_else(|| {
            let cause = self.config.unknown_client(&self.client_id);
            PageError::unknown_client(cause, &self.config.register)
        })?;
        let registered = &client.redirect_uris;
        let redirect_uri = match (&self.redirect_uri, registered.as_slice()) {
            // A-AUTHZ-2
            (Some(requested), _) if registered.iter().any(|own| own.admits(requested)) => {
                let requested = RedirectUri::parse_any_scheme(requested);
                requested.map_err(|_| PageError::new(Cause::RedirectUri))?
            }
            (None, [only]) => only.clone(),
            _ => return Err(PageError::new(Cause::RedirectUri)),
        };
        // A-REG-1: the operator may have removed the scheme from the list since the registration.
        if !self.config.allows_scheme_of(&redirect_uri) {
            return Err(PageError::new(Cause::RedirectUri));
        }
        Ok(Redirectable { config: self.config, form: self.form, client, redirect_uri })
    }
}

/// Authorization request with a known client and redirect URI, so errors may be redirects.
#[derive(Debug)]
#[must_use = "the request goes on only when it is checked"]
pub struct Redirectable<'a, 'r> {
    config: &'a Config,
    form: FormPairs<'r>,
    client: ClientRecord,
    redirect_uri: RedirectUri,
}

impl<'a> Redirectable<'a, '_> {
    /// Checks all remaining parameters; the user's consent is what is left.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] with the finished redirect, when a parameter is repeated, the client may not use codes, or the
    /// response type, PKCE challenge, scope, `prompt`, resource or `dpop_jkt` is refused.
    pub fn check(self) -> Result<NeedsConsent<'a>, RedirectError> {
        use AuthorizationErrorCode as Code;
        let form = &self.form;
        // A-AUTHZ-7: a repeated `state` is not sent back at all.
        let state = form.single("state").ok().flatten().map(str::to_owned);
        let prompt = Prompt::parse(form.value("prompt").ok().flatten());
        let fail = |cause, code, why| {
            let (uri, identification) = (&self.redirect_uri, &self.config.identification);
            let error = RedirectError::new(cause, code, why, uri, state.as_deref(), identification);
            if prompt.lets_ask() { error.for_user(self.destination()) } else { error }
        };
        let bad = |cause, why| fail(cause, Code::InvalidRequest, why);
        if form.has_repeated_except("resource") {
            return Err(bad(Cause::RepeatedParameter, "a parameter is repeated"));
        }
        let value = |name| form.value(name).ok().flatten();
        match value("response_type") {
            Some("code") => {}
            None => return Err(bad(Cause::Parameter("response_type"), "response_type is missing")),
            Some(_) => {
                let cause = Cause::Parameter("response_type");
                return Err(fail(cause, Code::UnsupportedResponseType, "only code is supported"));
            }
        }
        if !self.client.uses_codes() {
            return Err(fail(Cause::Grant, Code::UnauthorizedClient, "not for this client"));
        }
        // A-AUTHZ-6: an absent `code_challenge_method` would mean `plain` (RFC 7636 §4.3).
        let is_s256 = value("code_challenge_method") == Some(CodeChallenge::METHOD);
        let challenge = value("code_challenge").filter(|_| is_s256);
        let Some(challenge) = challenge.and_then(|text| CodeChallenge::parse(text).ok()) else {
            return Err(bad(Cause::Parameter("code_challenge"), "PKCE with S256 is required"));
        };
        let registered = self.client.scope_bound();
        let default = self.config.default_scope(registered);
        let offers = |scope: &str| self.config.offers(registered, scope);
        let Some(scopes) = requested_scopes(value("scope"), default, offers) else {
            let why = "none of the scopes is offered to this client; see scopes_supported";
            return Err(fail(Cause::Scope, Code::InvalidScope, why));
        };
        if prompt == Prompt::Contradiction {
            return Err(bad(Cause::Parameter("prompt"), "prompt is none and something else"));
        }
        let Some(resource) = ResourceIndicator::read(form).select(&self.config.resources) else {
            let why = "name one resource that this server gives tokens for";
            return Err(fail(Cause::Target, Code::InvalidTarget, why));
        };
        let jkt = value("dpop_jkt").filter(|_| cfg!(feature = "dpop")).map(Thumbprint::parse);
        let Ok(jkt) = jkt.transpose() else {
            return Err(bad(Cause::Parameter("dpop_jkt"), "dpop_jkt is no thumbprint"));
        };
        let Self { config, client, redirect_uri, .. } = self;
        Ok(NeedsConsent {
            config,
            client,
            redirect_uri,
            state,
            challenge,
            scopes,
            resource,
            prompt,
            jkt,
        })
    }

    /// Returns the destination of an error, for the look-up of a remembered consent.
    fn destination(&self) -> Destination {
        Destination {
            client_id: self.client.client_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            resource: self
                .config
                .remembered_consent
                .and_then(|_| ResourceIndicator::read(&self.form).select(&self.config.resources)),
            is_of_operator: self.client.is_of_operator(),
        }
    }
}
