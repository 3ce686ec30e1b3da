//! Logout, flush, and the repetition of what a failed store lacks.
//!
//! A logout removes all credentials of this client for the server from the store. Where the store fails, the removal is
//! repeated later, and is then limited to the logins that the logout was about, because other programs that share the
//! store may have logged in since:
//!
//! | known about the store at the logout | removed by a repetition |
//! |---|---|
//! | its records, because it could be read | the logins in them, however often they are refreshed meanwhile |
//! | nothing, with a session in memory | that session's login, its earlier tokens, logins of renewals under way |
//! | nothing at all | the records of the first successful read |

use client_flow::{CredentialKey, Session, StoredCredentials};
use oauth_types::SecretDigest;
use tracing::{Instrument as _, info_span, warn};

use super::Renewal;
use super::holdings::Goal;
use super::work::{Common, Flow};
use crate::error::Error;
use crate::flight::Join;
use crate::store::StoreError;

/// Extent of a logout; the greater variant includes the smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Logout {
    /// The tokens; the next login uses the same registration.
    Tokens,
    /// The tokens and the registration.
    Registration,
}

/// Reason to remove and save what the store lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoreUpdate {
    /// A logout right now: all records in the store are removed.
    Logout,
    /// A save or a logout that failed before.
    Retry,
}

/// Logout that the store has not carried out yet.
#[derive(Clone, PartialEq)]
pub(super) struct PendingLogout {
    /// Key of the session's record; `None` if no session was in memory.
    pub(super) key: Option<CredentialKey>,
    extent: Logout,
    /// Digests of the logins that have ended.
    ///
    /// `None` if neither memory nor the store has told them yet.
    logins: Option<Vec<SecretDigest>>,
}

impl PendingLogout {
    /// Creates the logout of a session, or of all records in the store without one.
    pub(super) fn new(session: Option<&Session>, extent: Logout) -> Self {
        let key = session.map(|own| own.account().key());
        let logins = session.and_then(Session::stored_logins);
        Self { key, extent, logins }
    }

    /// Merges an earlier logout that the store has not carried out either.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let logins = match (before.logins, self.logins) {
            // Without a session, memory adds nothing to what is known.
            (before, None) if self.key.is_none() => before,
            (Some(before), Some(own)) => Some(before.into_iter().chain(own).collect()),
            _ => None,
        };
        let extent = self.extent.max(before.extent);
        Self { key: self.key.or(before.key), extent, logins }
    }

    /// Returns `true` if the user logged out of this record's login.
    pub(super) fn covers(&self, record: &StoredCredentials) -> bool {
        let (Some(tokens), Some(logins)) = (&record.tokens, &self.logins) else { return true };
        [tokens.login(), tokens.access_token.digest()].iter().any(|own| logins.contains(own))
    }

    /// Returns the part of a covered record that is kept; `None` if all is removed.
    pub(super) fn rest(&self, record: StoredCredentials) -> Option<StoredCredentials> {
        (self.extent == Logout::Tokens).then(|| record.logged_out())
    }

    /// Adds the login of a renewal that was under way at the logout.
    ///
    /// It may have been saved before the renewal noticed the logout.
    pub(super) fn note_login(&mut self, session: &Session) {
        // Without known logins, all records of the store have ended already.
        let Some(logins) = &mut self.logins else { return };
        let login = session.tokens().login();
        if !logins.contains(&login) {
            logins.push(login);
        }
    }

    /// Adds the logins of these records.
    fn note(&mut self, records: &[StoredCredentials]) {
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
    /// Ends the session in memory, then in the store, and every renewal under way.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store failed.
    pub(crate) async fn log_out(&self, extent: Logout) -> Result<(), Error> {
        if self.common.host().is_none() {
            return Ok(());
        }
        // Memory comes first, because a slow or broken store must not keep the user logged in.
        self.common.epoch.send_modify(|epoch| epoch.logouts = epoch.logouts.wrapping_add(1));
        self.holdings.with(|own, _| own.log_out(extent));
        self.update_store(StoreUpdate::Logout).await
    }

    /// Ends the login or step-up that waits for the user.
    pub(crate) fn cancel_login(&self) {
        let epoch = &self.common.epoch;
        epoch.send_modify(|epoch| epoch.cancellations = epoch.cancellations.wrapping_add(1));
    }

    /// Waits for refreshes and saves under way, and repeats saves that failed.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store failed again.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        while let Some(Join::Wait(_, landing)) = self.holdings.news(u64::MAX, &Goal::FreshToken) {
            let _ = landing.await;
        }
        self.update_store(StoreUpdate::Retry).await
    }

    pub(super) fn save_in_background(&self) {
        let own = self.clone();
        let span = info_span!("oauth", what = "save");
        let work = async move {
            if let Err(error) = own.update_store(StoreUpdate::Retry).await {
                warn!(%error, "credentials are still not saved");
            }
        };
        drop(tokio::spawn(work.instrument(span)));
    }

    /// Repeats the logouts and saves that the store lacks, under the store's lock.
    async fn update_store(&self, update: StoreUpdate) -> Result<(), Error> {
        let (Some(host), true) =
            (self.common.host(), self.holdings.with(|own, _| own.is_unsaved()))
        else {
            return Ok(());
        };
        let turn = host.turn().await?;
        let session = loop {
            let (pending_logout, session) =
                self.holdings.with(|own, _| (own.pending_logout.clone(), own.session.clone()));
            let Some(mut pending_logout) = pending_logout else { break session };
            let records = self.common.records_of(&pending_logout, session.as_deref()).await?;
            if update == StoreUpdate::Logout || pending_logout.logins.is_none() {
                pending_logout.note(&records);
                // Kept for the next repetition, in case the store fails now.
                self.holdings.with(|own, _| {
                    own.pending_logout.iter_mut().for_each(|own| own.note(&records));
                });
            }
            self.common.forget(&pending_logout, records).await?;
            self.holdings.with(|own, _| {
                // The user may have extended the logout meanwhile, to the registration.
                own.pending_logout.take_if(|own| *own == pending_logout);
                own.saves.open();
            });
        };
        let Some(session) = session.filter(|own| !own.is_saved()) else { return Ok(()) };
        let flow = Flow {
            common: &self.common,
            holdings: &self.holdings,
            goal: &Goal::FreshToken,
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
    /// Removes the records that a logout covers; later logins are kept.
    async fn forget(
        &self,
        pending_logout: &PendingLogout,
        records: Vec<StoredCredentials>,
    ) -> Result<(), Error> {
        let Some(host) = self.host() else { return Ok(()) };
        for record in records.into_iter().filter(|record| pending_logout.covers(record)) {
            let key = record.key();
            let is_empty = record.tokens.is_none() && record.asked.is_none();
            let removed = match pending_logout.rest(record) {
                None => host.store.remove(&key).await,
                Some(_) if is_empty => Ok(()),
                Some(rest) => host.save(&rest).await,
            };
            removed.map_err(Error::Store)?;
        }
        Ok(())
    }

    /// Returns the records of this client that a logout may cover.
    ///
    /// These are the session's record and those of earlier runs. A record that a later login of this client has saved
    /// is left out.
    async fn records_of(
        &self,
        pending_logout: &PendingLogout,
        session: Option<&Session>,
    ) -> Result<Vec<StoredCredentials>, Error> {
        let super::Credentials::Login(own) = &self.credentials else { return Ok(Vec::new()) };
        let mut records = own.store.records(&self.server).await.map_err(Error::Store)?;
        if let Some(key) = &pending_logout.key
            && !records.iter().any(|record| record.key() == *key)
        {
            records.extend(own.store.load(key).await.map_err(Error::Store)?);
        }
        let later = session.filter(|own| own.is_saved()).map(|own| own.account().key());
        records.retain(|record| own.config.owns(record) && later.as_ref() != Some(&record.key()));
        Ok(records)
    }
}
