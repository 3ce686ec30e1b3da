//! What only the user can answer, and what comes of it.

use bytes::Bytes;
use http::header::ORIGIN;
use http::{HeaderMap, Method, Request, Response};
use iss_validate::Outcome;
use oauth_types::{
    AuthorizationErrorCode, ClientMetadataUrl, CodeChallenge, Entropy, ErrorDescription, FormPairs,
    FormWriter, Origin, RedirectUri, ResourceUri, ScopeSet, Secret, Thumbprint, UnixTime,
};

use crate::config::Config;
use crate::page::page_headers;
use crate::refusal::{Cause, ConsentError, PageError, RedirectError, redirect};
use crate::remembered::{ConsentLookup, Prompt};
use crate::store::{ClientRecord, CodeRecord, ConsentRecord, StoreError};
use crate::waiting::{Answered, OfAsked};

/// A request that is right in every way and waits for the user. The page carries it as a [`Question`], which nobody
/// can change and any process of this issuer can read.
///
/// [`Question`]: crate::Question
#[derive(Clone, Debug)]
#[must_use = "the user has to be asked"]
pub struct NeedsConsent {
    pub(crate) client: ClientRecord,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) state: Option<String>,
    pub(crate) challenge: CodeChallenge,
    pub(crate) scopes: ScopeSet,
    pub(crate) resource: ResourceUri,
    pub(crate) prompt: Prompt,
    pub(crate) jkt: Option<Thumbprint>,
}

impl NeedsConsent {
    /// Nobody is logged in: the browser has to go to the login, if the request allows, at once or with the user's
    /// answer.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] when the client wants nobody to be asked (`prompt=none`).
    pub fn without_user(self, config: &Config) -> Result<Self, RedirectError> {
        if self.prompt.lets_ask() {
            return Ok(self);
        }
        let code = AuthorizationErrorCode::LoginRequired;
        Err(self.unasked(config, code, "nobody is logged in"))
    }

    /// Goes on with who is logged in: perhaps they agreed before.
    pub fn with_user(self, config: &Config, subject: impl Into<String>) -> ConsentLookup<'_> {
        ConsentLookup::new(config, self, subject.into())
    }

    pub(crate) fn unasked(
        &self,
        config: &Config,
        code: AuthorizationErrorCode,
        why: &str,
    ) -> RedirectError {
        let (redirect_uri, state) = (&self.redirect_uri, self.state.as_deref());
        let identification = &config.identification;
        RedirectError::new(Cause::Unasked, code, why, redirect_uri, state, identification)
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
    pub fn approve(
        self,
        config: &Config,
        subject: impl Into<String>,
        code: Entropy<32>,
        now: UnixTime,
    ) -> Approved {
        let subject = subject.into();
        let consent = ConsentRecord::of(&self, config, &subject, now);
        Approved { consent, ..self.issue(config, subject, code, now) }
    }

    /// A code, whoever was asked and when.
    pub(crate) fn issue(
        self,
        config: &Config,
        subject: String,
        code: Entropy<32>,
        now: UnixTime,
    ) -> Approved {
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
        Approved { record, state: self.state, code, consent: None }
    }

    /// The user said no.
    #[must_use]
    pub fn deny(self, config: &Config) -> Response<Bytes> {
        let outcome = Outcome::Error {
            code: AuthorizationErrorCode::AccessDenied,
            description: Some(ErrorDescription::new("the user said no")),
        };
        redirect(&self.redirect_uri, self.state.as_deref(), &outcome, &config.identification)
    }
}

/// The user's answer, out of the consent page's form: POST only, from our own page, and nothing but which page it
/// answers and how.
#[derive(Clone, Debug)]
#[must_use = "the answer is to a page that waits"]
pub struct ConsentAnswer {
    transaction: Secret,
    allows: bool,
}

impl ConsentAnswer {
    /// Reads an answer. Whatever does not say "allow" is a no.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page.
    pub fn parse(config: &Config, request: &Request<Bytes>) -> Result<Self, PageError> {
        if request.method() != Method::POST {
            return Err(PageError::method("POST"));
        }
        if !is_own_page(config, request.headers()) {
            return Err(PageError::consent(ConsentError::OtherSite));
        }
        let gone = PageError::consent(ConsentError::Gone);
        let Ok(form) = FormPairs::parse(request.body()) else { return Err(gone) };
        let value = |name| form.value(name).unwrap_or_default();
        let Some(transaction) = value("transaction") else { return Err(gone) };
        let allows = value("decision") == Some("allow");
        Ok(Self { transaction: Secret::new(transaction), allows })
    }

    /// Reads what was asked, when it is the browser with this cookie that answers.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page.
    pub fn open(
        &self,
        config: &Config,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Answered, PageError> {
        Answered::open(config, &self.transaction, browser, now)
    }

    /// Reads what a browser agreed to that comes back from the login to which its answer led it: GET, as a redirect has
    /// it.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page.
    pub fn after_login(
        config: &Config,
        request: &Request<Bytes>,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<OfAsked, PageError> {
        let query = request.uri().query().unwrap_or_default();
        let gone = || PageError::consent(ConsentError::Gone);
        let form = FormPairs::parse(query.as_bytes()).map_err(|_| gone())?;
        let transaction = form.value("transaction").unwrap_or_default().ok_or_else(gone)?;
        OfAsked::after_login(config, &Secret::new(transaction), browser, now)
    }

    /// The path and query at which it is found again after the login.
    #[must_use]
    pub fn return_to(config: &Config, transaction: &Secret) -> String {
        let mut form = FormWriter::new();
        form.append("transaction", transaction.expose());
        [&config.paths().consent, "?", form.as_str()].concat()
    }

    /// Whether the user agreed.
    #[must_use]
    pub const fn allows(&self) -> bool {
        self.allows
    }
}

/// Whether nothing in the headers says that another site's page sent this. Browsers that say it do so beyond a
/// page's reach; others leave it to the form's secret and the cookie.
fn is_own_page(config: &Config, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    // A page that sends no Referer has the origin `null`.
    let own = Origin::of(config.issuer.as_str());
    headers.get(ORIGIN).is_none_or(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin == "null" || own.is_ok_and(|own| own.contains(origin))
    })
}

/// A code that the user agreed to. It is sent only after it is stored.
#[derive(Debug)]
#[must_use = "store the record, then send the response"]
pub struct Approved {
    record: CodeRecord,
    state: Option<String>,
    code: Secret,
    consent: Option<ConsentRecord>,
}

impl Approved {
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
    pub fn stored(
        self,
        config: &Config,
        outcome: Result<(), StoreError>,
    ) -> Result<Response<Bytes>, RedirectError> {
        let state = self.state.as_deref();
        let redirect_uri = &self.record.redirect_uri;
        match outcome {
            Ok(()) => {
                let outcome = Outcome::Code(self.code);
                Ok(redirect(redirect_uri, state, &outcome, &config.identification))
            }
            Err(error) => Err(RedirectError::new(
                Cause::Store(error),
                AuthorizationErrorCode::TemporarilyUnavailable,
                "try again",
                redirect_uri,
                state,
                &config.identification,
            )
            .after_consent()),
        }
    }
}
