//! Whatever two clients and an attacker send, in whatever order, replayed and at any time, and wherever the store fails:
//!
//! | | what holds |
//! |---|---|
//! | I1 | a code gives one family |
//! | I2 | a family has one live refresh token; its predecessor works within the grace window and gives the same one |
//! | I3 | a family that was revoked gives nothing, and what it gave works no more |
//! | I4 | nothing is given that is not stored |
//! | I5 | tokens are for the user, the client and the resource of a consent, and for no more than its scopes |
//! | I6 | a browser is sent to addresses of the client that asked, and told once who sent it |

#![no_main]

use fuzz::{Act, Server};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|acts: Vec<Act>| {
    let mut server = Server::default();
    for act in acts.iter().take(64) {
        server.act(act);
    }
});
