//! Sessions whose tokens the host's store could not keep.
//!
//! A save that fails takes no tokens away: they are the only good ones, because the refresh token before them is spent.
//! The session is used from memory and saved again later (C-TOKEN-6). What the store answers meanwhile:
//!
//! | the store holds | outcome |
//! |---|---|
//! | the session's own tokens | the save had worked |
//! | tokens that the session's own have replaced, or no tokens where it held none before | the session is saved; the old refresh token is not sent |
//! | other tokens, and it could not be read either when the session began | the session is saved: the user has just logged in here |
//! | other tokens | another process saved them later: they are taken up |
//! | no tokens or no record, where it held some before | another process ended the grant: the session goes on without its refresh token, and nothing is saved |

use oauth_types::{Secret, SecretDigest};

use super::{Record, Session};

/// Tokens that a store may still hold instead of the session's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsaved {
    /// Access tokens that the session's own have replaced.
    replaced: Vec<Secret>,
    /// `true` if nothing is known of what the store held before.
    is_blind: bool,
}

impl Unsaved {
    /// Replaced tokens that are remembered where the store cannot be read either.
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
    /// Returns `true` if the host's store holds this session, as far as it said.
    ///
    /// A session that is not saved is used like any other. The host [saves](Self::save) it as soon as it can, because a
    /// restart would begin with a refresh token that is spent.
    #[must_use]
    pub const fn is_saved(&self) -> bool {
        self.unsaved.is_none()
    }

    /// The session as one that could not be saved: the store holds other tokens, or none.
    pub(crate) fn unsaved(mut self, unsaved: Unsaved) -> Self {
        self.unsaved = Some(unsaved);
        self
    }

    pub(crate) fn saved(mut self) -> Self {
        self.unsaved = None;
        self
    }

    /// Access tokens that a store may hold and that are not to be used any more: they were replaced by this session's.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &Secret> {
        self.unsaved.iter().flat_map(|unsaved| &unsaved.replaced)
    }

    /// Returns the logins whose tokens the host's store may hold: its [own](crate::Tokens::login), and what it has replaced
    /// without a save. `None` if nothing is known of what the store holds, because it could not be read.
    ///
    /// A host asks before the user logs out. Where the store fails then, the logins say later which tokens to remove: those
    /// of a later login, by another program that shares the store, are none of them.
    #[must_use]
    pub fn stored_logins(&self) -> Option<Vec<SecretDigest>> {
        if self.unsaved.as_ref().is_some_and(|unsaved| unsaved.is_blind) {
            return None;
        }
        let replaced = self.replaced().map(Secret::digest);
        Some(core::iter::once(self.tokens().login()).chain(replaced).collect())
    }

    /// Returns `true` if this session was never saved and what is kept is what it replaces.
    pub(crate) fn supersedes(&self, kept: Option<&Record>) -> bool {
        let Some(unsaved) = &self.unsaved else { return false };
        match kept.and_then(|record| record.tokens.as_ref()) {
            Some(kept) => {
                let is_replaced = |old: &Secret| old.matches(kept.access_token.expose());
                unsaved.is_blind || unsaved.replaced.iter().any(is_replaced)
            }
            None => unsaved.replaced.is_empty(),
        }
    }

    pub(crate) fn has_tokens_of(&self, kept: &Record) -> bool {
        let own = &self.tokens().access_token;
        kept.tokens.as_ref().is_some_and(|kept| own.matches(kept.access_token.expose()))
    }
}
