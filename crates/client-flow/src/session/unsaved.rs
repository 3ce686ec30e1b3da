//! Unsaved sessions: the host's store failed to save their tokens.
//!
//! A failed save discards no tokens, because they are the only valid ones: the refresh token before them is used up.
//! The session is used from memory and saved again later (C-TOKEN-6). Cases by the content of the store:
//!
//! | the store holds | outcome |
//! |---|---|
//! | the session's own tokens | the save had succeeded |
//! | tokens that the session's own have replaced, or none as before | the session is saved |
//! | other tokens, and its earlier content is unknown | the session is saved: the user has just logged in here |
//! | other tokens | another process saved them later: they are used |
//! | no tokens or no record, but some before | another process ended the grant: nothing is saved |
//!
//! In the second case the old refresh token is not sent. In the last one the session continues without its refresh
//! token.

use oauth_types::{Secret, SecretDigest};

use super::{Session, StoredCredentials};

/// Tokens that a store may still hold instead of the session's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsaved {
    /// Access tokens that the session's own have replaced.
    replaced: Vec<Secret>,
    /// `true` if the earlier content of the store is unknown, because it could not be read.
    is_blind: bool,
}

impl Unsaved {
    /// Maximum number of replaced tokens to remember while the store cannot be read either.
    const MAX_REPLACED: usize = 8;

    pub(crate) fn replacing(replaced: impl IntoIterator<Item = Secret>) -> Self {
        let replaced = replaced.into_iter().take(Self::MAX_REPLACED).collect();
        Self { replaced, is_blind: false }
    }

    pub(crate) fn blind() -> Self {
        Self { replaced: Vec::new(), is_blind: true }
    }
}

impl Session {
    /// Returns `true` if the host's store holds this session, as far as the host reported.
    ///
    /// An unsaved session is used like any other. The host [saves](Self::save) it as soon as it can, because a restart
    /// would begin with a refresh token that is used up.
    #[must_use]
    pub const fn is_saved(&self) -> bool {
        self.unsaved.is_none()
    }

    /// Returns the session as unsaved: the store holds other tokens, or none.
    pub(crate) fn unsaved(mut self, unsaved: Unsaved) -> Self {
        self.unsaved = Some(unsaved);
        self
    }

    pub(crate) fn saved(mut self) -> Self {
        self.unsaved = None;
        self
    }

    /// Returns the access tokens that this session has replaced and that a store may still hold.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &Secret> {
        self.unsaved.iter().flat_map(|unsaved| &unsaved.replaced)
    }

    /// Returns the logins whose tokens the host's store may hold.
    ///
    /// They are the session's [own](crate::Tokens::login) and those of tokens that it has replaced without a save.
    /// `None` if the content of the store is unknown, because it could not be read.
    ///
    /// A host calls this before the user logs out. Where the store fails then, the logins identify later which tokens
    /// to remove; tokens of a later login, by another program that shares the store, are not among them.
    #[must_use]
    pub fn stored_logins(&self) -> Option<Vec<SecretDigest>> {
        if self.unsaved.as_ref().is_some_and(|unsaved| unsaved.is_blind) {
            return None;
        }
        let replaced = self.replaced().map(Secret::digest);
        Some(core::iter::once(self.tokens().login()).chain(replaced).collect())
    }

    /// Returns `true` if this session is unsaved and replaces the stored record.
    pub(crate) fn supersedes(&self, kept: Option<&StoredCredentials>) -> bool {
        let Some(unsaved) = &self.unsaved else { return false };
        match kept.and_then(|record| record.tokens.as_ref()) {
            Some(kept) => {
                let is_replaced = |old: &Secret| old.matches(kept.access_token.expose());
                unsaved.is_blind || unsaved.replaced.iter().any(is_replaced)
            }
            None => unsaved.replaced.is_empty(),
        }
    }

    pub(crate) fn has_tokens_of(&self, kept: &StoredCredentials) -> bool {
        let own = &self.tokens().access_token;
        kept.tokens.as_ref().is_some_and(|kept| own.matches(kept.access_token.expose()))
    }
}
