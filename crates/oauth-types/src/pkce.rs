//! PKCE: Proof Key for Code Exchange (RFC 7636), with S256 only.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::{Secret, serde_secret::Exposed};
use crate::text_impls::text_impls;
use crate::time::Entropy;

/// The reason why a text is not a code verifier or an S256 code challenge (RFC 7636 §4.1, §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidPkce {
    /// The length is wrong: a verifier has 43 to 128 characters, an S256 challenge exactly 43.
    Length,
    /// A character is outside the unreserved set (verifier) or base64url (challenge).
    Character,
}

impl fmt::Display for InvalidPkce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => {
                "the length is wrong: a code verifier has 43 to 128 characters, an S256 code \
                 challenge has 43 (RFC 7636 §4.1, §4.2)"
            }
            Self::Character => {
                "a character is not allowed: a code verifier has letters, digits and `-._~`, \
                 an S256 code challenge is base64url (RFC 7636 §4.1, §4.2)"
            }
        })
    }
}

impl core::error::Error for InvalidPkce {}

/// Code verifier, which the client keeps secret until the token request (RFC 7636 §4.1).
///
/// # Examples
///
/// ```
/// use oauth_types::{CodeChallenge, CodeVerifier};
///
/// // The example of RFC 7636, appendix B.
/// let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
/// let challenge: CodeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse()?;
/// assert!(challenge.matches(&verifier));
/// # Ok::<(), oauth_types::InvalidPkce>(())
/// ```
#[doc(alias = "code_verifier")]
#[derive(Clone, Debug)]
pub struct CodeVerifier(Secret);

impl CodeVerifier {
    /// Creates a verifier of 256 random bits, 43 characters long.
    #[must_use]
    pub fn new(entropy: Entropy<32>) -> Self {
        // C-AUTHZ-1
        Self(entropy.into_secret())
    }

    /// Parses a code verifier.
    ///
    /// # Errors
    ///
    /// [`InvalidPkce`] if the text breaks RFC 7636 §4.1.
    pub fn parse(text: &str) -> Result<Self, InvalidPkce> {
        if !(43..=128).contains(&text.len()) {
            return Err(InvalidPkce::Length);
        }
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !text.bytes().all(unreserved) {
            return Err(InvalidPkce::Character);
        }
        Ok(Self(Secret::new(text)))
    }

    /// Returns the text to send and to store.
    #[must_use]
    pub const fn as_secret(&self) -> &Secret {
        &self.0
    }

    /// Returns the S256 challenge of the verifier (RFC 7636 §4.2).
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        let digest = Sha256::digest(self.0.expose().as_bytes());
        CodeChallenge(URL_SAFE_NO_PAD.encode(digest).into())
    }
}

impl Exposed for CodeVerifier {
    fn text(&self) -> Option<&str> {
        Some(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for CodeVerifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Secret::deserialize(deserializer)?;
        Self::parse(text.expose()).map_err(D::Error::custom)
    }
}

/// Code challenge of an authorization request: base64url of the verifier's SHA-256, 43 characters.
///
/// # Examples
///
/// ```
/// use oauth_types::{CodeChallenge, CodeVerifier};
///
/// // RFC 7636, appendix B.
/// let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
/// let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")?;
/// assert!(challenge.matches(&verifier));
/// # Ok::<(), oauth_types::InvalidPkce>(())
/// ```
#[doc(alias = "code_challenge")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeChallenge(Box<str>);

impl CodeChallenge {
    /// The only supported challenge method.
    pub const METHOD: &'static str = "S256";

    /// Parses a code challenge.
    ///
    /// # Errors
    ///
    /// [`InvalidPkce`] if the text cannot be the base64url of a SHA-256.
    pub fn parse(text: &str) -> Result<Self, InvalidPkce> {
        if text.len() != 43 {
            return Err(InvalidPkce::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(InvalidPkce::Character);
        }
        Ok(Self(text.into()))
    }

    /// Returns the text of the challenge.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if `verifier` gives this challenge, compared in constant time.
    #[must_use]
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        // A-TOKEN-3
        self.0.as_bytes().ct_eq(verifier.challenge().0.as_bytes()).into()
    }
}

text_impls!(CodeChallenge, InvalidPkce);

#[cfg(test)]
mod tests {
    use super::*;

    /// C-AUTHZ-1
    #[test]
    fn the_pair_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let challenge =
            CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert_eq!(verifier.challenge(), challenge);
        assert!(challenge.matches(&verifier));
        assert!(!challenge.matches(&CodeVerifier::new(Entropy::new([1; 32]))));
        let fresh = CodeVerifier::new(Entropy::new([1; 32]));
        assert!(CodeVerifier::parse(fresh.as_secret().expose()).is_ok());
    }

    /// C-AUTHZ-1: a request without a challenge cannot be made of a verifier that was changed where it is kept.
    #[test]
    fn a_verifier_is_parsed_when_it_is_read() {
        let kept = format!("\"{}\"", "a".repeat(43));
        let verifier: CodeVerifier = serde_json::from_str(&kept).unwrap();
        assert_eq!(verifier.text(), Some(&*"a".repeat(43)));
        for bad in [r#""""#, r#""short""#, "7", &kept.replacen('a', " ", 1)] {
            assert!(serde_json::from_str::<CodeVerifier>(bad).is_err(), "{bad}");
        }
    }

    /// SEC-040, SEC-043
    #[test]
    fn lengths_and_alphabets() {
        for bad in ["", "a", &"a".repeat(42), &"a".repeat(44), &"a".repeat(129)] {
            assert_eq!(CodeChallenge::parse(bad), Err(InvalidPkce::Length), "{bad}");
        }
        for c in ['=', '+', '/', '.', ' '] {
            let text = format!("{}{c}", "a".repeat(42));
            assert_eq!(CodeChallenge::parse(&text), Err(InvalidPkce::Character), "{c}");
        }
        for bad in ["a".repeat(42), "a".repeat(129), format!("{} ", "a".repeat(43))] {
            assert!(CodeVerifier::parse(&bad).is_err(), "{bad}");
        }
        assert!(CodeVerifier::parse(&"\u{e9}".repeat(30)).is_err());
    }
}
