//! The user's consent: a checked request that waits for it, and the code or denial that follows (RFC 6749 §4.1.2).

use bytes::Bytes;
use http::{HeaderMap, Response};
use iss_validate::Outcome;
use oauth_types::{
    AuthorizationErrorCode, ClientMetadataUrl, CodeChallenge, Entropy, ErrorDescription,
    RedirectUri, ResourceUri, ScopeSet, Secret, Subject, Thumbprint, UnixTime,
};

use crate::config::Config;
use crate::destination::Destination;
use crate::page::page_headers;
use crate::prompt::Prompt;
use crate::refusal::{Cause, RedirectError, redirect};
use crate::store::{ClientRecord, CodeRecord, ConsentRecord, StoreError};

/// Checked authorization request that waits for the user's consent.
///
/// The page carries it as a [`Question`], which is tamper-proof and readable by every process of this issuer.
///
/// [`Question`]: crate::Question
#[derive(Clone, Debug)]
#[must_use = "the user has to be asked"]
pub struct NeedsConsent<'a> {
    pub(crate) config: &'a Config,
    pub(crate) client: ClientRecord,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) state: Option<String>,
    pub(crate) challenge: CodeChallenge,
    pub(crate) scopes: ScopeSet,
    pub(crate) resource: ResourceUri,
    pub(crate) prompt: Prompt,
    pub(crate) jkt: Option<Thumbprint>,
}

impl<'a> NeedsConsent<'a> {
    /// Continues without a logged-in user; the browser has to visit the login.
    ///
    /// Do so at once, or after the user's answer.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] when the client forbids any page (`prompt=none`).
    pub fn without_user(self) -> Result<Self, RedirectError> {
        if self.prompt.lets_ask() {
            return Ok(self);
        }
        let code = AuthorizationErrorCode::LoginRequired;
        Err(self.unasked(code, "nobody is logged in"))
    }

    pub(crate) fn unasked(&self, code: AuthorizationErrorCode, why: &str) -> RedirectError {
        let (redirect_uri, state) = (&self.redirect_uri, self.state.as_deref());
        let identification = &self.config.identification;
        RedirectError::new(Cause::Unasked, code, why, redirect_uri, state, identification)
    }

    pub(crate) fn destination(&self) -> Destination {
        Destination {
            client_id: self.client.client_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            resource: Some(self.resource.clone()),
            is_of_operator: self.client.is_of_operator(),
        }
    }

    /// Returns the name that the client gave itself, cleaned; it is no proof of identity.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.client.metadata.client_name.as_deref()
    }

    /// Returns the host of the client's identifier, if that is the URL of a document.
    ///
    /// This host publishes the metadata of the client.
    #[must_use]
    pub fn client_host(&self) -> Option<&str> {
        // A-AUTHZ-10
        let url = self.client.client_id.as_str();
        let origin = ClientMetadataUrl::parse(url).ok()?.as_url().origin();
        // The parsed URL contains the host in the same spelling as the origin.
        url.strip_prefix("https://")?.get(..origin.host().len())
    }

    /// Returns the redirect URI, to which the browser is sent back.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// Returns the requested scopes.
    #[must_use]
    pub const fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// Returns the resource that the scopes are requested for.
    #[must_use]
    pub const fn resource(&self) -> &ResourceUri {
        &self.resource
    }

    /// Returns `true` if the redirect URI leads to a program on the user's machine.
    ///
    /// Then any program there may have started the request. For a client that registered only loopback addresses the
    /// result is always `true`.
    #[must_use]
    pub fn is_native(&self) -> bool {
        // A-AUTHZ-10
        self.redirect_uri.is_native()
    }

    /// Returns the headers of the consent page, which allow styles with this nonce only.
    ///
    /// The page cannot be framed or cached, runs no script, and sends no `Referer`.
    ///
    /// The policy has no `form-action`, because Chromium applies it to every redirect after a form, and the last
    /// redirect may lead anywhere: a client's callback may lead on to an application, an upstream login through a host
    /// of the user's company. An answer from another page is refused all the same: it needs the page's transaction, the
    /// cookie of the browser that was asked, and the `Origin` of this server. A form injected into the page could send
    /// the transaction elsewhere, which is worthless without the cookie.
    #[must_use]
    pub fn page_headers(&self, style_nonce: &str) -> HeaderMap {
        // A-AUTHZ-10
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{style_nonce}'; base-uri 'none'; frame-ancestors 'none'"
        );
        let mut headers = HeaderMap::new();
        page_headers(&mut headers, &policy);
        headers
    }

    /// Approves the request: creates a code, which must be stored before it is sent.
    pub fn approve(self, subject: Subject, code: Entropy<32>, now: UnixTime) -> Approved<'a> {
        let consent = ConsentRecord::of(&self, &subject, now);
        Approved { consent, ..self.issue(subject, code, now) }
    }

    /// Creates a code for this subject, without a consent to remember.
    pub(crate) fn issue(self, subject: Subject, code: Entropy<32>, now: UnixTime) -> Approved<'a> {
        let Self { config, state, .. } = self;
        let code = code.into_secret();
        let record = CodeRecord {
            digest: code.digest(),
            client_id: self.client.client_id,
            redirect_uri: self.redirect_uri,
            challenge: self.challenge,
            resource: self.resource,
            scopes: self.scopes,
            subject,
            expires_at: now.saturating_add(config.lifetimes.code),
            jkt: self.jkt,
            redeemed: None,
        };
        Approved { config, record, state, code, consent: None }
    }

    /// Denies the request: redirects to the client with `access_denied`.
    #[must_use]
    pub fn deny(self) -> Response<Bytes> {
        let outcome = Outcome::Error {
            code: AuthorizationErrorCode::AccessDenied,
            description: Some(ErrorDescription::new("the user said no")),
        };
        redirect(&self.redirect_uri, self.state.as_deref(), &outcome, &self.config.identification)
    }
}

impl ConsentRecord {
    /// Builds the record of the user's consent; `None` if consents to this request do not count later.
    pub(crate) fn of(request: &NeedsConsent<'_>, subject: &Subject, now: UnixTime) -> Option<Self> {
        let lifetime = request.config.remembered_consent?;
        Some(Self {
            key: request.destination().key(subject)?,
            subject: subject.clone(),
            client_id: request.client.client_id.clone(),
            scopes: request.scopes.clone(),
            metadata: request.client.metadata_digest(),
            until: now.saturating_add(lifetime),
        })
    }
}

/// Approved request and its code, which is sent only after it is stored.
#[derive(Debug)]
#[must_use = "store the record, then send the response"]
pub struct Approved<'a> {
    config: &'a Config,
    record: CodeRecord,
    state: Option<String>,
    code: Secret,
    consent: Option<ConsentRecord>,
}

impl Approved<'_> {
    /// Returns the consent to store with [`Store::put_consent`](crate::Store::put_consent), if any.
    ///
    /// If storing it fails, the user is asked again next time.
    #[must_use]
    pub const fn consent(&self) -> Option<&ConsentRecord> {
        self.consent.as_ref()
    }

    /// Returns the code's record to store.
    #[must_use]
    pub const fn record(&self) -> &CodeRecord {
        &self.record
    }

    /// Returns the redirect with the code, given the outcome of storing the record.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] when the store failed: no code is sent.
    pub fn stored(self, outcome: Result<(), StoreError>) -> Result<Response<Bytes>, RedirectError> {
        let identification = &self.config.identification;
        let state = self.state.as_deref();
        let redirect_uri = &self.record.redirect_uri;
        match outcome {
            Ok(()) => {
                let outcome = Outcome::Code(self.code);
                Ok(redirect(redirect_uri, state, &outcome, identification))
            }
            Err(error) => Err(RedirectError::new(
                Cause::Store(error),
                AuthorizationErrorCode::TemporarilyUnavailable,
                "try again",
                redirect_uri,
                state,
                identification,
            )
            .after_consent()),
        }
    }
}
