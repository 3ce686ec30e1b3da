//! MACs over texts that a browser carries for the server: consent pages and browser cookies.

use hmac::Mac as _;
use oauth_types::Issuer;

use crate::server_keys::{Purpose, ServerKeys};

/// MACs of one issuer; another issuer with the same keys does not accept them.
#[derive(Clone, Copy)]
pub(crate) struct Seals<'a> {
    pub(crate) keys: &'a ServerKeys,
    pub(crate) issuer: &'a Issuer,
}

impl Seals<'_> {
    /// Returns a text with its MAC in front.
    pub(crate) fn seal(self, purpose: Purpose, text: &[u8]) -> Vec<u8> {
        [&self.tag(purpose, text), text].concat()
    }

    /// Verifies the MAC for this purpose, and returns the text behind it.
    pub(crate) fn unseal(self, purpose: Purpose, sealed: &[u8]) -> Option<&[u8]> {
        let (tag, text) = sealed.split_at_checked(TAG)?;
        self.verifies(purpose, text, tag).then_some(text)
    }

    /// Computes the MAC of a text.
    pub(crate) fn tag(self, purpose: Purpose, text: &[u8]) -> [u8; TAG] {
        let key = self.keys.current().of(purpose);
        key.mac(&self.signed(text)).finalize().into_bytes().into()
    }

    /// Returns `true` if `tag` is the beginning of the MAC of a text.
    ///
    /// The comparison takes constant time. The caller fixes the length of `tag`.
    pub(crate) fn verifies(self, purpose: Purpose, text: &[u8], tag: &[u8]) -> bool {
        let signed = self.signed(text);
        self.keys.all().any(|key| key.of(purpose).mac(&signed).verify_truncated_left(tag).is_ok())
    }

    /// Returns the parts that the MAC covers: issuer, NUL and text.
    ///
    /// The boundary is unambiguous, because an issuer contains no NUL.
    fn signed<'a>(&'a self, text: &'a [u8]) -> [&'a [u8]; 3] {
        [self.issuer.as_str().as_bytes(), b"\0", text]
    }
}

const TAG: usize = 32;

#[cfg(test)]
mod tests {
    use oauth_types::Entropy;

    use super::*;
    use crate::server_keys::ServerKey;

    fn key(id: u8, byte: u8) -> ServerKey {
        ServerKey::new(id, Entropy::new([byte; 32]))
    }

    /// SEC-187
    #[test]
    fn a_seal_opens_only_for_its_purpose_and_with_our_keys() {
        let issuer = &Issuer::parse("https://as.example/a").unwrap();
        let keys = &ServerKeys::new(key(1, 7));
        let rotated = ServerKeys::new(key(2, 8)).with_retired(key(1, 7));
        let rotated = Seals { keys: &rotated, issuer };
        let others = Seals { keys: &ServerKeys::new(key(1, 8)), issuer };
        let sibling = Seals { keys, issuer: &Issuer::parse("https://as.example/b").unwrap() };
        let keys = Seals { keys, issuer };
        let sealed = keys.seal(Purpose::ConsentPage, b"text");
        assert_eq!(keys.unseal(Purpose::ConsentPage, &sealed), Some(&b"text"[..]));
        assert!(rotated.unseal(Purpose::ConsentPage, &sealed).is_some());
        assert_eq!(others.unseal(Purpose::ConsentPage, &sealed), None);
        assert_eq!(sibling.unseal(Purpose::ConsentPage, &sealed), None);
        assert_eq!(keys.unseal(Purpose::Browser, &sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(keys.unseal(Purpose::ConsentPage, &forged), None, "byte {at}");
        }
        for short in [0, 1, TAG - 1, TAG] {
            assert_eq!(keys.unseal(Purpose::ConsentPage, &sealed[..short]), None, "{short}");
        }
        assert!(!keys.verifies(Purpose::ConsentPage, b"text", b""));
    }

    /// Fixes the format, because processes of two releases share questions during an upgrade.
    #[test]
    fn a_seal_is_the_hmac_of_issuer_and_text() {
        let issuer = &Issuer::parse("https://as.example/a").unwrap();
        let tag =
            Seals { keys: &ServerKeys::new(key(1, 7)), issuer }.tag(Purpose::ConsentPage, b"text");
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "2fc5caae7e1410828dd3b09627bf6d98340a6966b16c6ce86ddc80097c72352b");
    }
}
