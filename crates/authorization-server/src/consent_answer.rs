//! Answer of the consent page's form.

use bytes::Bytes;
use http::header::ORIGIN;
use http::{HeaderMap, Method, Request};
use oauth_types::{FormPairs, Secret, UnixTime};

use crate::config::Config;
use crate::page::Next;
use crate::refusal::{ConsentError, PageError};
use crate::waiting::{Answered, OfAsked};

/// Answer of the user, from the consent page's form.
///
/// The form contains only its transaction and the decision; it is accepted by POST, from this server's own page.
#[derive(Clone, Debug)]
#[must_use = "the answer is to a page that waits"]
pub struct ConsentAnswer<'a> {
    config: &'a Config,
    transaction: Secret,
    allows: bool,
}

impl<'a> ConsentAnswer<'a> {
    /// Parses an answer; every decision but `allow` is a denial.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page, when the method is another one, the page of another site sent the answer,
    /// or the form contains no transaction.
    pub fn parse(config: &'a Config, request: &Request<Bytes>) -> Result<Self, PageError> {
        if request.method() != Method::POST {
            return Err(PageError::method("POST"));
        }
        if !is_own_page(config, request.headers()) {
            return Err(PageError::consent(ConsentError::OtherSite));
        }
        let gone = PageError::consent(ConsentError::Gone);
        let Ok(form) = FormPairs::parse(request.body()) else { return Err(gone) };
        let value = |name| form.value(name).ok().flatten();
        let Some(transaction) = value("transaction") else { return Err(gone) };
        let allows = value("decision") == Some("allow");
        Ok(Self { config, transaction: Secret::new(transaction), allows })
    }

    /// Returns the question that this answers, if the browser with this cookie was asked.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page, when the transaction is invalid or expired, or the browser is another one.
    pub fn open(&self, browser: Option<&str>, now: UnixTime) -> Result<Answered<'a>, PageError> {
        Answered::open(self.config, &self.transaction, browser, now)
    }

    /// Reads an earlier consent when the browser comes back from the login (GET).
    ///
    /// The answer had led the browser to that login.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page, when the transaction is invalid, expired or not yet approved, or the
    /// browser is another one.
    pub fn after_login(
        config: &'a Config,
        request: &Request<Bytes>,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<OfAsked<'a>, PageError> {
        let query = request.uri().query().unwrap_or_default();
        let gone = || PageError::consent(ConsentError::Gone);
        let form = FormPairs::parse(query.as_bytes()).map_err(|_| gone())?;
        let transaction = form.value("transaction").map_err(|_| gone())?.ok_or_else(gone)?;
        OfAsked::after_login(config, &Secret::new(transaction), browser, now)
    }

    /// Returns `true` if the user approved.
    #[must_use]
    pub const fn allows(&self) -> bool {
        self.allows
    }
}

impl PageError {
    /// Adds a button that sends the same answer again, to the page of [`login_unavailable`](Self::login_unavailable).
    #[must_use]
    pub fn with_retry_of(self, answer: &ConsentAnswer<'_>) -> Self {
        self.with_next(Next::Answer(answer.transaction.clone(), answer.allows))
    }
}

/// Returns `true` if no header names another site's page as the sender.
///
/// Pages cannot forge these headers. In browsers that omit them, the form's secret and the cookie protect the answer.
fn is_own_page(config: &Config, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    // Browsers give a page that sends no `Referer` the origin `null`.
    let own = config.issuer.origin();
    let is_own = |origin: &str| origin == "null" || own.contains(origin);
    headers.get(ORIGIN).is_none_or(|origin| origin.to_str().is_ok_and(is_own))
}
