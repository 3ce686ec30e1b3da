//! Consent before a login at another server ([`Login::upstream`]), and the way back from there.
//!
//! | a browser | has | is led |
//! |---|---|---|
//! | asks for a login of a client | nothing | nowhere: it is asked |
//! | says yes | the cookie of the page | to the login, with a new secret in the address to come back to |
//! | comes back | that cookie, that secret, and a user | to the client, with a code |
//!
//! What an attacker agreed to in their own browser is theirs: no other browser has its cookie.

use authorization_server::{ConsentAnswer, ConsentError, PageError, Store};
use bytes::Bytes;
use http::{HeaderMap, Response};
use oauth_types::{Secret, UnixTime};
use tracing::info;

use super::Server;
use super::pages::{see_other, unavailable};
use crate::ambient::entropy;
use crate::consent::{Consents, Pending, Unanswered};
use crate::{Browser, Login};

/// What waits of browsers that nobody is logged in at. Apart from the pages of users, so that it pushes out none.
#[derive(Default)]
pub(super) struct Strangers {
    /// Pages that wait for an answer.
    pub(super) asked: Consents,
    /// Answers that wait for a user.
    agreed: Consents,
}

impl<S: Store + 'static, L: Login> Server<S, L> {
    /// Takes the answer to a page that was shown before the login; `None` when it is not of one.
    pub(super) fn stranger(
        &self,
        answer: &ConsentAnswer,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Option<(Pending, Unanswered<'_>)>, PageError> {
        match self.strangers.asked.take(answer.transaction(), browser, |_| true, now) {
            Ok(pending) => Ok(Some(pending)),
            Err(ConsentError::Gone) => Ok(None),
            Err(error) => Err(PageError::consent(error)),
        }
    }

    /// Leads a browser that said yes to the login.
    pub(super) async fn log_in(
        &self,
        headers: &HeaderMap,
        pending: Pending,
        browser: &str,
        now: UnixTime,
    ) -> Result<Response<Bytes>, PageError> {
        let transaction = entropy::<32>().ok_or_else(unavailable)?.into_secret();
        let return_to = ConsentAnswer::return_to(&self.config, &transaction);
        match self.login.browser(headers, &return_to).await {
            // Logged in meanwhile, in another tab.
            Browser::User(user) => self.approve(pending.request, user.subject, now).await,
            Browser::SendTo(url) => {
                let waiting = (pending.request, pending.subject);
                self.strangers.agreed.keep(
                    &transaction,
                    (None, Secret::new(browser)),
                    waiting,
                    now,
                );
                see_other(&url)
            }
        }
    }

    /// Sends a browser that comes back from the login on to the client.
    pub(super) async fn logged_in(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, PageError> {
        let transaction = ConsentAnswer::after_login(request)?;
        let browser = self.cookie(request.headers());
        let now = self.clock.now();
        let return_to = ConsentAnswer::return_to(&self.config, &transaction);
        let Browser::User(user) = self.login.browser(request.headers(), &return_to).await else {
            info!("nobody is logged in after the login");
            return Err(PageError::consent(ConsentError::OtherUser));
        };
        let pending = self.strangers.agreed.take(&transaction, browser, |_| true, now);
        let (pending, unanswered) = pending.map_err(PageError::consent)?;
        let response = self.approve(pending.request, user.subject, now).await?;
        unanswered.answered();
        Ok(response)
    }
}
