//! Logging out, and what is made up for after a store has failed.

use client_flow::{Record, Session};
use tracing::{Instrument as _, info_span, warn};

use super::Renewal;
use super::holdings::{Unforgotten, Wanted};
use super::work::{Common, Flow};
use crate::flight::Join;
use crate::{CredentialStore, Error, StoreFailed};

impl Renewal {
    /// Ends the session in memory and then in the store, and whatever the user has under way.
    pub(crate) async fn log_out(&self, with_registration: bool) -> Result<(), Error> {
        if self.common.host().is_none() {
            return Ok(());
        }
        // Memory comes first: a store that is slow or broken keeps no user logged in.
        self.common.epoch.send_modify(|epoch| epoch.logouts = epoch.logouts.wrapping_add(1));
        self.holdings.with(|own, _| own.log_out(with_registration));
        self.make_up().await
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
        self.make_up().await
    }

    pub(super) fn save_in_background(&self) {
        let own = self.clone();
        let span = info_span!("oauth", what = "save");
        let work = async move {
            if let Err(error) = own.make_up().await {
                warn!(%error, "credentials are still not saved");
            }
        };
        drop(tokio::spawn(work.instrument(span)));
    }

    /// Tells the store what it lacks, when it is this client's turn.
    async fn make_up(&self) -> Result<(), Error> {
        let (Some(host), true) =
            (self.common.host(), self.holdings.with(|own, _| own.is_unsaved()))
        else {
            return Ok(());
        };
        let turn = host.turn().await?;
        let session = loop {
            let (unforgotten, session) =
                self.holdings.with(|own, _| (own.unforgotten.clone(), own.session.clone()));
            let Some(unforgotten) = unforgotten else { break session };
            self.common.forget(&unforgotten, session.as_deref()).await?;
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
        };
        let outcome = host.carry_out(session.save(), turn, &flow).await;
        let (saved, _turn) = outcome.map_err(|failure| failure.error)?;
        let is_saved = saved.is_saved();
        self.holdings.with(|own, _| own.resaved(saved, &session));
        if is_saved { Ok(()) } else { Err(Error::Store(StoreFailed)) }
    }
}

impl Common {
    /// Has the store forget what the user logged out of; what a later login has put in its place stays.
    async fn forget(
        &self,
        unforgotten: &Unforgotten,
        session: Option<&Session>,
    ) -> Result<(), Error> {
        let Some(host) = self.host() else { return Ok(()) };
        let later = session.filter(|own| own.is_saved()).map(|own| own.account().key());
        let records = self.kept(host.store, unforgotten).await?;
        for record in records {
            let key = record.key();
            if later.as_ref() == Some(&key) {
                continue;
            }
            let forgotten = match unforgotten.with_registration {
                true => host.store.remove(&key).await,
                false if record.tokens.is_none() && record.asked.is_none() => Ok(()),
                false => host.save(&record.logged_out()).await,
            };
            forgotten.map_err(Error::Store)?;
        }
        Ok(())
    }

    /// The records of this client that a logout is about: of the session, and of what an earlier run left.
    async fn kept(
        &self,
        store: &dyn CredentialStore,
        unforgotten: &Unforgotten,
    ) -> Result<Vec<Record>, Error> {
        let super::Credentials::Login(own) = &self.credentials else { return Ok(Vec::new()) };
        let mut records = store.records(&self.server).await.map_err(Error::Store)?;
        if let Some(key) = &unforgotten.key
            && !records.iter().any(|record| record.key() == *key)
        {
            records.extend(store.load(key).await.map_err(Error::Store)?);
        }
        records.retain(|record| own.config.owns(record));
        Ok(records)
    }
}
