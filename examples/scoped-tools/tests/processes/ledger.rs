//! What was acknowledged, and what was asked and never answered.

use crate::client::{Grant, Tokens};

/// What a server did, or did not, when it was killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Redeem,
    Refresh,
    Revoke,
}

/// A code that was given out, and what came of it.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) client_id: String,
    pub(crate) code: String,
    /// By generation. The first came for the code, each other one for the refresh token before it.
    pub(crate) tokens: Vec<Tokens>,
    /// It was revoked, or its code was refused: nothing of it is good any more.
    pub(crate) is_over: bool,
    /// Sent, and not answered.
    pub(crate) doubt: Option<Operation>,
}

/// What a look into the database finds of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Family {
    pub(crate) generation: u32,
    pub(crate) is_revoked: bool,
}

/// What one of the clients did in one life of the server.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) client_id: Option<String>,
    pub(crate) logins: Vec<Login>,
    /// Answers that came.
    pub(crate) answers: u64,
}

impl Login {
    pub(crate) fn new(client_id: &str, code: String) -> Self {
        let (client_id, tokens) = (client_id.to_owned(), Vec::new());
        Self { client_id, code, tokens, is_over: false, doubt: None }
    }

    /// The refresh token that is live.
    pub(crate) fn refresh(&self) -> Option<&str> {
        self.tokens.last().map(|tokens| &*tokens.refresh)
    }

    /// Takes down what a redemption of its code came to.
    pub(crate) fn redeemed(&mut self, grant: Grant) {
        match grant {
            Grant::Tokens(tokens) => {
                assert!(self.tokens.is_empty(), "a code was redeemed twice");
                self.tokens.push(tokens);
            }
            // Somebody redeemed it before, so this has ended what came of it.
            Grant::Refused => self.is_over = true,
        }
    }

    /// Compares with what is stored after a kill; whether more is stored than was answered.
    pub(crate) fn compare(&self, found: Option<Family>) -> bool {
        let Some(found) = found else {
            let is_untouched = self.tokens.is_empty() && !self.is_over;
            assert!(is_untouched, "a redemption is lost: {self:?}");
            return false;
        };
        let is_doubtful = |operation| self.doubt == Some(operation);
        assert!(found.is_revoked || !self.is_over, "an end is lost: {self:?}");
        let is_ended_unheard = found.is_revoked && !self.is_over;
        if is_ended_unheard {
            assert!(is_doubtful(Operation::Revoke) || is_doubtful(Operation::Redeem), "{self:?}");
        }
        let Some(known) = u32::try_from(self.tokens.len()).unwrap().checked_sub(1) else {
            assert!(is_doubtful(Operation::Redeem), "a redemption of nobody: {self:?}");
            assert_eq!(found.generation, 0);
            return true;
        };
        let most = known + u32::from(is_doubtful(Operation::Refresh));
        assert!(found.generation >= known, "a rotation is lost: {self:?}, {found:?}");
        assert!(found.generation <= most, "a rotation of nobody: {self:?}, {found:?}");
        is_ended_unheard || found.generation > known
    }

    /// Compares when nothing is in doubt any more: one generation is live, and it is the client's.
    pub(crate) fn agrees(&self, found: Option<Family>) {
        assert_eq!(self.doubt, None);
        let found = found.expect("a code that was used has its family");
        assert_eq!(found.is_revoked, self.is_over, "{self:?}");
        if let Some(known) = self.tokens.len().checked_sub(1) {
            assert_eq!(usize::try_from(found.generation).unwrap(), known, "{self:?}");
        }
    }
}
