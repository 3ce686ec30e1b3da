//! Consent before a login at an upstream server ([`Login::upstream`]), and the return from there.
//!
//! | a browser | has | is led |
//! |---|---|---|
//! | asks for a login of a client | nothing | nowhere: it is asked |
//! | says yes | the cookie of the page | to the login, with a new secret in the address to come back to |
//! | comes back | that cookie, that secret, and a user | to the client, with a code |
//!
//! What an attacker agreed to in their own browser is theirs: no other browser has its cookie.

use authorization_server::{ConsentAnswer, ConsentError, OfAsked, PageError, Store};
use bytes::Bytes;
use http::{HeaderMap, Response};
use oauth_types::UnixTime;
use tracing::info;

use super::Server;
use super::pages::unavailable;
use crate::clock::entropy;
use crate::consent_retries::Taken;
use crate::login::{Login, LoginStatus};

impl<S: Store + 'static, L: Login> Server<S, L> {
    /// Returns the login status of a browser whose user consented, before that answer is taken.
    pub(super) async fn status_after(
        &self,
        headers: &HeaderMap,
        asked: &OfAsked<'_>,
        answer: &ConsentAnswer<'_>,
        now: UnixTime,
    ) -> Result<LoginStatus, PageError> {
        let salt = entropy().ok_or_else(unavailable)?;
        let return_to = asked.return_to(salt, now)?;
        let status = self.login.status(headers, &return_to).await;
        status.map_err(|error| error.into_page().with_retry_of(answer))
    }

    /// Sends a code to the client when a browser returns from the login.
    pub(super) async fn logged_in(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, PageError> {
        let (browser, now) = (self.cookie(request.headers()), self.clock.now());
        let agreed = ConsentAnswer::after_login(&self.config, request, browser, now)?;
        // The configured path is used, because a proxy may remove a part of the path that the browser sees.
        let query = request.uri().query().unwrap_or_default();
        let return_to = [&*self.config.paths().consent, "?", query].concat();
        let status = self.login.status(request.headers(), &return_to).await;
        let status = status.map_err(|error| error.into_page().with_retry_link(&return_to))?;
        let LoginStatus::LoggedIn(user) = status else {
            info!("nobody is logged in after the login");
            return Err(PageError::consent(ConsentError::OtherUser));
        };
        let Taken { request: pending, guard } = self.take(agreed, request, now).await?;
        let response = self.approve(pending, user.subject, now).await?;
        guard.replied();
        Ok(response)
    }
}
