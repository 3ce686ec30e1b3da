//! What the operations of a store answer.

use super::FamilyId;

/// What became of a new client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CreateOutcome {
    /// It is stored.
    Created,
    /// Its identifier is taken.
    Duplicate,
    /// There is no room for more clients.
    QuotaReached,
}

/// What became of a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RedeemOutcome {
    /// It is used now, and its family and first access token are stored.
    Redeemed,
    /// It was used before. The family that came from it is revoked now (RFC 6749 §4.1.2).
    AlreadyUsed(FamilyId),
    /// It has expired.
    Expired,
    /// There is no such code.
    Missing,
}

/// What became of a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RotateOutcome {
    /// The next generation is live, and its access token is stored.
    Rotated,
    /// The presented generation was rotated a moment ago: its successor is live already, and another access
    /// token is stored with it.
    GraceReplay,
    /// An older generation was presented, or one that never was, as after the store was set back to a copy. The family
    /// is revoked now.
    Reused,
    /// The family was revoked before.
    Revoked,
    /// The family has expired.
    Expired,
    /// There is no such family.
    Missing,
}
