//! Refresh tokens with a MAC, so that they are verified before any look-up.
//!
//! A token consists of version, key identifier, family and generation, with an HMAC-SHA-256 over them under a key that
//! is kept outside of the database. A forged token is refused here and revokes nothing. Every genuine older generation
//! is recognized without a row of its own. A lost response is repeated identically, because the successor is computed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use oauth_types::Secret;
use zeroize::Zeroizing;

use crate::server_keys::{Purpose, ServerKeys};
use crate::store::{FamilyId, Generation};

impl ServerKeys {
    /// Computes the refresh token of this generation.
    pub(crate) fn token(&self, family: &FamilyId, generation: Generation) -> Secret {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
        bytes.push(VERSION);
        bytes.push(self.current().id());
        bytes.extend_from_slice(family.as_bytes());
        bytes.extend_from_slice(&generation.get().to_be_bytes());
        let tag = self.current().of(Purpose::RefreshToken).mac(&[&bytes]).finalize();
        bytes.extend_from_slice(&tag.into_bytes());
        Secret::new(URL_SAFE_NO_PAD.encode(&*bytes))
    }

    /// Returns family and generation of a genuine refresh token.
    pub(crate) fn open(&self, token: &str) -> Option<(FamilyId, Generation)> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).ok()?);
        if bytes.len() != LENGTH || bytes.first() != Some(&VERSION) {
            return None;
        }
        let (signed, tag) = bytes.split_at_checked(LENGTH - TAG)?;
        let id = *signed.get(1)?;
        let key = self.all().find(|key| key.id() == id)?;
        key.of(Purpose::RefreshToken).mac(&[signed]).verify_slice(tag).ok()?;
        let family = FamilyId::from_bytes(signed.get(2..18)?.try_into().ok()?);
        let generation = u64::from_be_bytes(signed.get(18..)?.try_into().ok()?);
        Some((family, Generation::new(generation)))
    }
}

const VERSION: u8 = 1;
const TAG: usize = 32;
const LENGTH: usize = 1 + 1 + 16 + 8 + TAG;

#[cfg(test)]
mod tests {
    use oauth_types::Entropy;

    use super::*;
    use crate::server_keys::ServerKey;

    fn key(id: u8, byte: u8) -> ServerKey {
        ServerKey::new(id, Entropy::new([byte; 32]))
    }

    #[test]
    fn a_genuine_token_opens_and_is_the_same_every_time() {
        let keys = ServerKeys::new(key(1, 7));
        let (family, generation) = (FamilyId::from_bytes([9; 16]), Generation::new(3));
        let token = keys.token(&family, generation);
        assert!(token.matches(keys.token(&family, generation).expose()));
        assert_eq!(keys.open(token.expose()), Some((family, generation)));
    }

    /// SEC-175
    #[test]
    fn a_forgery_with_a_real_family_does_not_open() {
        let keys = ServerKeys::new(key(1, 7));
        let token = keys.token(&FamilyId::from_bytes([9; 16]), Generation::new(3));
        let bytes = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert_eq!(keys.open(&URL_SAFE_NO_PAD.encode(&forged)), None, "byte {at}");
        }
        for forged in ["", "x", "====", &token.expose()[1..]] {
            assert_eq!(keys.open(forged), None);
        }
    }

    #[test]
    fn a_retired_key_verifies_and_does_not_sign() {
        let old =
            ServerKeys::new(key(1, 7)).token(&FamilyId::from_bytes([9; 16]), Generation::new(0));
        assert!(ServerKeys::new(key(2, 8)).open(old.expose()).is_none());
        let both = ServerKeys::new(key(2, 8)).with_retired(key(1, 7));
        let (family, generation) = both.open(old.expose()).unwrap();
        let new = both.token(&family, generation);
        assert!(!new.matches(old.expose()));
        assert!(ServerKeys::new(key(2, 8)).open(new.expose()).is_some());
    }

    /// Made by the version that had one key for every purpose.
    #[test]
    fn a_token_in_circulation_stays_valid() {
        const BEFORE: &str =
            "AQEJCQkJCQkJCQkJCQkJCQkJAAAAAAAAAAMdhVPOzgindQMKbGckPPuJMNYWqCRaXPvcxW-F-6WKDQ";
        let keys = ServerKeys::new(key(1, 7));
        let (family, generation) = (FamilyId::from_bytes([9; 16]), Generation::new(3));
        assert_eq!(keys.open(BEFORE), Some((family, generation)));
        assert!(keys.token(&family, generation).matches(BEFORE), "also as a repeated response");
    }
}
