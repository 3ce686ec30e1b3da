//! Acts of users, clients and attackers, in any order.

use arbitrary::Arbitrary;

use crate::witness::Fault;

/// Sender of a request and the credentials that it presents.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Sender {
    /// Whom the code or token was given to.
    Owner,
    Web,
    Native,
    Evil,
    /// The attacker in the name of `web`, whose secret they do not have.
    AsWeb,
    /// The same with a guess.
    Guessing,
}

/// A step of anybody. Numbers choose: a code, a token, a page or a message counts back from the latest. What is `None`
/// is right, or left out.
#[derive(Arbitrary, Debug)]
pub enum Act {
    Authorize(Ask),
    Answer {
        page: u8,
        allows: bool,
        fault: Option<Fault>,
    },
    Redeem {
        sender: Sender,
        code: u8,
        verifier: Option<u8>,
        extra: Extra,
        fault: Option<Fault>,
    },
    Refresh {
        sender: Sender,
        token: u8,
        extra: Extra,
        fault: Option<Fault>,
    },
    Revoke {
        sender: Sender,
        token: u8,
        is_access: bool,
        fault: Option<Fault>,
    },
    /// Anything that was sent before, byte for byte.
    Replay {
        message: u8,
        fault: Option<Fault>,
    },
    Use {
        token: u8,
    },
    Withdraw {
        client: Option<u8>,
    },
    Pass {
        time: u8,
    },
    Sweep {
        rows: u8,
    },
}

/// An authorization request.
#[derive(Arbitrary, Debug)]
pub struct Ask {
    pub client: u8,
    pub redirect_uri: Option<u8>,
    pub scope: Option<u8>,
    pub resource: u8,
    pub verifier: u8,
    pub trouble: Option<Trouble>,
}

#[derive(Arbitrary, Debug, PartialEq)]
pub enum Trouble {
    OtherResponse,
    PlainChallenge,
    TwoStates,
    NobodyToAsk,
    NoResource,
}

/// Parameters that a token request may have.
#[derive(Arbitrary, Debug)]
pub struct Extra {
    pub redirect_uri: bool,
    pub scope: Option<u8>,
    pub resource: Option<u8>,
}
