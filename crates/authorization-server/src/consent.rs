//! What only the user can answer, and what comes of it.

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

/// A request that is right in every way and waits for the user. The page carries it as a [`Question`], which nobody
/// can change and any process of this issuer can read.
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
    /// Nobody is logged in: the browser has to go to the login, if the request allows, at once or with the user's
    /// answer.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] when the client wants nobody to be asked (`prompt=none`).
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

    /// The name that the client gave itself, if it did: cleaned, and no proof of anything.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.client.metadata.client_name.as_deref()
    }

    /// The host of the client's identifier, where that is the address of a document: who publishes what the client says
    /// about itself.
    #[must_use]
    pub fn client_host(&self) -> Option<&str> {
        // A-AUTHZ-10
        let url = self.client.client_id.as_str();
        let origin = ClientMetadataUrl::parse(url).ok()?.as_url().origin();
        // In the text it stands as the origin has it.
        url.strip_prefix("https://")?.get(..origin.host().len())
    }

    /// Where the browser is sent back to.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// What is asked for.
    #[must_use]
    pub const fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// What it is asked for.
    #[must_use]
    pub const fn resource(&self) -> &ResourceUri {
        &self.resource
    }

    /// Whether the browser is sent back to a program on the user's machine, so that any program there may have
    /// asked. Of a client that registered nothing but loopback addresses this is always so.
    #[must_use]
    pub fn is_native(&self) -> bool {
        // A-AUTHZ-10
        self.redirect_uri.is_native()
    }

    /// Headers of the page that asks: not framed, not cached, no script, no Referer; styles with this nonce only.
    ///
    /// The policy has no `form-action`. Chromium holds every redirect after a form against it, and where the last one
    /// leads is for others to say: a client's callback may lead on to an application, an upstream login through a host
    /// of the user's company. An answer that another page sends is refused all the same: it needs the page's
    /// transaction, the cookie of the browser that was asked, and the `Origin` of this server. A form that markup
    /// in the page would send elsewhere carries that transaction and nothing else, which is worth nothing without the
    /// cookie.
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

    /// The user agreed: a code, to be stored before it is sent.
    pub fn approve(self, subject: Subject, code: Entropy<32>, now: UnixTime) -> Approved<'a> {
        let consent = ConsentRecord::of(&self, &subject, now);
        Approved { consent, ..self.issue(subject, code, now) }
    }

    /// A code, whoever was asked and when.
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
            expires_at: now.plus(config.lifetimes.code),
            jkt: self.jkt,
            redeemed: None,
        };
        Approved { config, record, state, code, consent: None }
    }

    /// The user said no.
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
    /// What a user agrees to who says yes to this request; `None` where it would not count later.
    pub(crate) fn of(request: &NeedsConsent<'_>, subject: &Subject, now: UnixTime) -> Option<Self> {
        let lifetime = request.config.remembered_consent?;
        Some(Self {
            key: request.destination().key(subject)?,
            subject: subject.clone(),
            client_id: request.client.client_id.clone(),
            scopes: request.scopes.clone(),
            metadata: request.client.metadata_digest(),
            until: now.plus(lifetime),
        })
    }
}

/// A code that the user agreed to. It is sent only after it is stored.
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
    /// What to remember, if anything: [`Store::put_consent`](crate::Store::put_consent). Where that fails, the
    /// user is asked again.
    #[must_use]
    pub const fn consent(&self) -> Option<&ConsentRecord> {
        self.consent.as_ref()
    }

    /// What to store.
    #[must_use]
    pub const fn record(&self) -> &CodeRecord {
        &self.record
    }

    /// The redirect with the code, once it is stored.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] when it could not be stored: no code is sent.
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
