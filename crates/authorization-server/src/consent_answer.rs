//! The answer that the consent page's form sends.

use bytes::Bytes;
use http::header::ORIGIN;
use http::{HeaderMap, Method, Request};
use oauth_types::{FormPairs, Secret, UnixTime};

use crate::config::Config;
use crate::refusal::{ConsentError, PageError};
use crate::waiting::{Answered, OfAsked};

/// The user's answer, out of the consent page's form: POST only, from our own page, and nothing but which page it
/// answers and how.
#[derive(Clone, Debug)]
#[must_use = "the answer is to a page that waits"]
pub struct ConsentAnswer<'a> {
    config: &'a Config,
    transaction: Secret,
    allows: bool,
}

impl<'a> ConsentAnswer<'a> {
    /// Reads an answer. Whatever does not say "allow" is a no.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page.
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

    /// Reads what was asked, when it is the browser with this cookie that answers.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page.
    pub fn open(&self, browser: Option<&str>, now: UnixTime) -> Result<Answered<'a>, PageError> {
        Answered::open(self.config, &self.transaction, browser, now)
    }

    /// Reads what a browser agreed to that comes back from the login to which its answer led it: GET, as a redirect has
    /// it.
    ///
    /// # Errors
    ///
    /// [`PageError`] with the finished page.
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
    let own = config.issuer.origin();
    let is_own = |origin: &str| origin == "null" || own.contains(origin);
    headers.get(ORIGIN).is_none_or(|origin| origin.to_str().is_ok_and(is_own))
}
