//! Outcomes of the operations of a [`Store`](super::Store).

use super::FamilyId;

/// Outcome of [`Store::create_client`](super::Store::create_client).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CreateOutcome {
    /// The client is stored.
    Created,
    /// The client identifier is taken.
    Duplicate,
    /// The store has no room for another client.
    QuotaReached,
}

/// Outcome of [`Store::redeem`](super::Store::redeem).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RedeemOutcome {
    /// The code is redeemed, and its family and first access token are stored.
    Redeemed,
    /// The code was redeemed before, so the family that came from it is now revoked (RFC 6749 §4.1.2).
    AlreadyUsed(FamilyId),
    /// The code has expired.
    Expired,
    /// The code is unknown.
    Missing,
}

/// Outcome of [`Store::rotate`](super::Store::rotate).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RotateOutcome {
    /// The next generation is current, and its access token is stored.
    Rotated,
    /// The presented generation was rotated within the grace time.
    ///
    /// The successor is current already, and another access token is stored.
    GraceReplay,
    /// The presented generation is older, or never existed, as after the store was restored from a copy.
    ///
    /// The family is now revoked.
    Reused,
    /// The family was revoked before.
    Revoked,
    /// The family has expired.
    Expired,
    /// The family is unknown.
    Missing,
}
