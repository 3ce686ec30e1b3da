//! User of a process, with a browser.

use core::time::Duration;
use std::sync::Arc;

use client_flow::BrowserRequest;
use futures::future::BoxFuture;
use oauth_types::{FormPairs, RedirectUri};

use super::service::ISSUER;
use super::world::{Busy, Code, World};
use crate::user_agent::{UserAgent, VisitError};

pub(super) struct User {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) redirect_uri: RedirectUri,
}

/// A window that is open until it is dropped.
struct Window<'a> {
    user: &'a User,
    is_answered: bool,
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.user.world.lock().window_torn_down(self.user.process);
        }
    }
}

impl UserAgent for User {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async {
            let _busy = Busy::new(&self.world);
            let since = self.world.lock().window_opens(self.process);
            let mut window = Window { user: self, is_answered: false };
            let (wait, draw) = {
                let mut own = self.world.lock();
                let draw = if own.settings.users_refuse { own.random.below(5) } else { 4 };
                let most = [10, 60, 590][usize::try_from(own.random.below(3)).unwrap()];
                (own.random.below(most), draw)
            };
            tokio::time::sleep(Duration::from_secs(wait)).await;
            window.is_answered = true;
            let mut own = self.world.lock();
            let answer = match draw {
                0 => "the user closes the window",
                1 => "the user does not come back",
                2 => "the user denies",
                _ => "the user agrees",
            };
            own.window_answered(self.process, answer);
            let (_, query) = visit.url().split_once('?').unwrap();
            let query = FormPairs::parse(query.as_bytes()).unwrap();
            let value = |name| query.value(name).unwrap().unwrap_or_default().to_owned();
            let callback = |answer: &str| {
                format!(
                    "{}?{answer}&state={}&iss={ISSUER}",
                    self.redirect_uri.as_str(),
                    value("state")
                )
            };
            match draw {
                0 => Err(VisitError::Declined),
                1 => Err(VisitError::Timeout),
                2 => Ok(callback("error=access_denied")),
                _ => {
                    let (scope, process) = (value("scope"), self.process);
                    own.codes.push(Code { scope, process, since, is_sent: false });
                    Ok(callback(&format!("code=code-{}", own.codes.len() - 1)))
                }
            }
        })
    }
}
