//! Logging out, and what is made up for after a store has failed.
//!
//! A logout ends everything that the store holds of this client for the server. Where the store fails, it is repeated
//! later, and then it ends only the logins that it was about, because other programs that share the store may have logged
//! in since:
//!
//! | what is known of the store at the logout | what a repetition removes |
//! |---|---|
//! | the store could be read | the logins that it held, however often they are refreshed meanwhile |
//! | it could not, and a session was in memory | the session's login, tokens that it had replaced, and what a renewal saved that was under way at the logout |
//! | nothing | what the store holds when it can be read for the first time |

use client_flow::{Record, RecordKey, Session};
use oauth_types::SecretDigest;
use tracing::{Instrument as _, info_span, warn};

use super::Renewal;
use super::holdings::Wanted;
use super::work::{Common, Flow};
use crate::error::Error;
use crate::flight::Join;
use crate::store::StoreError;

/// Part of a stored login that a logout removes; the greater holds the smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Logout {
    /// The tokens; the next login uses the same registration.
    Tokens,
    /// The registration too.
    Registration,
}

/// Occasion to tell the store what it lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// The user has just logged out: it is about all that the store holds.
    Logout,
    /// A save or a logout has failed before.
    Later,
}

/// A logout that the store has not written yet.
#[derive(Clone, PartialEq)]
pub(super) struct Unforgotten {
    /// Where the session was kept; `None` where the client had none in memory.
    pub(super) key: Option<RecordKey>,
    extent: Logout,
    /// The logins that have ended; `None` until the store can be read, where nothing else tells.
    logins: Option<Vec<SecretDigest>>,
}

impl Unforgotten {
    /// The end of this session, or of what the store holds where there is none.
    pub(super) fn new(session: Option<&Session>, extent: Logout) -> Self {
        let key = session.map(|own| own.account().key());
        let logins = session.and_then(Session::stored_logins);
        Self { key, extent, logins }
    }

    /// The same logout after an earlier one that the store has not written either.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let logins = match (before.logins, self.logins) {
            // Without a session there is nothing more in memory to tell.
            (before, None) if self.key.is_none() => before,
            (Some(before), Some(own)) => Some(before.into_iter().chain(own).collect()),
            _ => None,
        };
        let extent = self.extent.max(before.extent);
        Self { key: self.key.or(before.key), extent, logins }
    }

    /// Returns `true` if the record is what the user logged out of, and not a later login.
    pub(super) fn covers(&self, record: &Record) -> bool {
        let (Some(tokens), Some(logins)) = (&record.tokens, &self.logins) else { return true };
        [tokens.login(), tokens.access_token.digest()].iter().any(|own| logins.contains(own))
    }

    /// What is left of a record that it covers; `None` if nothing is.
    pub(super) fn rest(&self, record: Record) -> Option<Record> {
        (self.extent == Logout::Tokens).then(|| record.logged_out())
    }

    /// Notes a login that a renewal brought which was under way when the user logged out: it may have been saved.
    pub(super) fn note_login(&mut self, session: &Session) {
        // Where nothing is known, all that the store holds has ended.
        let Some(logins) = &mut self.logins else { return };
        let login = session.tokens().login();
        if !logins.contains(&login) {
            logins.push(login);
        }
    }

    /// Notes what the store holds as the logins that have ended.
    fn note(&mut self, records: &[Record]) {
        let logins = self.logins.get_or_insert_default();
        for tokens in records.iter().filter_map(|record| record.tokens.as_ref()) {
            let login = tokens.login();
            if !logins.contains(&login) {
                logins.push(login);
            }
        }
    }
}

impl Renewal {
    /// Ends the session in memory and then in the store, and whatever the user has under way.
    pub(crate) async fn log_out(&self, extent: Logout) -> Result<(), Error> {
        if self.common.host().is_none() {
            return Ok(());
        }
        // Memory comes first: a store that is slow or broken keeps no user logged in.
        self.common.epoch.send_modify(|epoch| epoch.logouts = epoch.logouts.wrapping_add(1));
        self.holdings.with(|own, _| own.log_out(extent));
        self.make_up(Occasion::Logout).await
    }

    /// Ends the login or step-up that waits for the user.
    pub(crate) fn cancel_login(&self) {
        let epoch = &self.common.epoch;
        epoch.send_modify(|epoch| epoch.cancellations = epoch.cancellations.wrapping_add(1));
    }

    /// Waits for refreshes and saves under way, and makes up for saves that failed.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        while let Some(Join::Wait(_, landing)) = self.holdings.news(u64::MAX, &Wanted::FreshToken) {
            let _ = landing.await;
        }
        self.make_up(Occasion::Later).await
    }

    pub(super) fn save_in_background(&self) {
        let own = self.clone();
        let span = info_span!("oauth", what = "save");
        let work = async move {
            if let Err(error) = own.make_up(Occasion::Later).await {
                warn!(%error, "credentials are still not saved");
            }
        };
        drop(tokio::spawn(work.instrument(span)));
    }

    /// Tells the store what it lacks, when it is this client's turn.
    async fn make_up(&self, occasion: Occasion) -> Result<(), Error> {
        let (Some(host), true) =
            (self.common.host(), self.holdings.with(|own, _| own.is_unsaved()))
        else {
            return Ok(());
        };
        let turn = host.turn().await?;
        let session = loop {
            let (unforgotten, session) =
                self.holdings.with(|own, _| (own.unforgotten.clone(), own.session.clone()));
            let Some(mut unforgotten) = unforgotten else { break session };
            let records = self.common.kept(&unforgotten, session.as_deref()).await?;
            if occasion == Occasion::Logout || unforgotten.logins.is_none() {
                unforgotten.note(&records);
                // For the next time, if the store fails now.
                self.holdings
                    .with(|own, _| own.unforgotten.iter_mut().for_each(|own| own.note(&records)));
            }
            self.common.forget(&unforgotten, records).await?;
            self.holdings.with(|own, _| {
                // The user may have asked for more meanwhile: for the registration, too.
                own.unforgotten.take_if(|own| *own == unforgotten);
                own.saves.open();
            });
        };
        let Some(session) = session.filter(|own| !own.is_saved()) else { return Ok(()) };
        let flow = Flow {
            common: &self.common,
            holdings: &self.holdings,
            wanted: &Wanted::FreshToken,
            from: None,
            epoch: self.common.epoch(),
            attempt: None,
            started: None,
        };
        let outcome = host.carry_out(session.save(), turn, &flow).await;
        let (saved, _turn) = outcome.map_err(|failure| failure.error)?;
        let is_saved = saved.is_saved();
        self.holdings.with(|own, _| own.resaved(saved, &session));
        if is_saved { Ok(()) } else { Err(Error::Store(StoreError)) }
    }
}

impl Common {
    /// Has the store forget what the user logged out of; a later login stays.
    async fn forget(&self, unforgotten: &Unforgotten, records: Vec<Record>) -> Result<(), Error> {
        let Some(host) = self.host() else { return Ok(()) };
        for record in records.into_iter().filter(|record| unforgotten.covers(record)) {
            let key = record.key();
            let is_empty = record.tokens.is_none() && record.asked.is_none();
            let forgotten = match unforgotten.rest(record) {
                None => host.store.remove(&key).await,
                Some(_) if is_empty => Ok(()),
                Some(rest) => host.save(&rest).await,
            };
            forgotten.map_err(Error::Store)?;
        }
        Ok(())
    }

    /// The records of this client that a logout may be about: of the session, and of what an earlier run left. What this
    /// client has put in their place since, by another login, is none of them.
    async fn kept(
        &self,
        unforgotten: &Unforgotten,
        session: Option<&Session>,
    ) -> Result<Vec<Record>, Error> {
        let super::Credentials::Login(own) = &self.credentials else { return Ok(Vec::new()) };
        let mut records = own.store.records(&self.server).await.map_err(Error::Store)?;
        if let Some(key) = &unforgotten.key
            && !records.iter().any(|record| record.key() == *key)
        {
            records.extend(own.store.load(key).await.map_err(Error::Store)?);
        }
        let later = session.filter(|own| own.is_saved()).map(|own| own.account().key());
        records.retain(|record| own.config.owns(record) && later.as_ref() != Some(&record.key()));
        Ok(records)
    }
}
