//! HTTP Basic credentials of a client (RFC 6749 §2.3.1): both halves form-encoded, the pair in Base64.

use core::fmt::{self, Write as _};
use core::mem;
use core::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use oauth_types::{ClientId, Secret, decode_component, encode_component};
use zeroize::Zeroizing;

/// Reason why an `Authorization` header holds no [`BasicCredentials`] (RFC 6749 §2.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidBasic {
    /// The value is longer than [`BasicCredentials::MAX_BYTES`].
    TooLong,
    /// The scheme is not `Basic`.
    OtherScheme,
    /// The value is not strict Base64 of two form-encoded texts separated by a colon, the first not empty.
    Malformed,
}

impl fmt::Display for InvalidBasic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "the Authorization header is longer than {} bytes: the client has to \
                     send its Basic credentials alone",
                BasicCredentials::MAX_BYTES
            ),
            Self::OtherScheme => {
                f.write_str("the Authorization header is not Basic: the client has to send `Basic` \
                     credentials")
            }
            Self::Malformed => f.write_str(
                "the Basic credentials are malformed: the client has to form-encode identifier and secret, join them \
                 by a colon and encode the pair in Base64 (RFC 6749 §2.3.1)",
            ),
        }
    }
}

impl core::error::Error for InvalidBasic {}

/// Client identifier and secret from an `Authorization` header (RFC 6749 §2.3.1).
///
/// Unlike the user names of RFC 7617, both are form-encoded before they are joined. Decoding authenticates no client;
/// [`Presented`](crate::Presented) does that. The text is wiped when dropped.
///
/// # Examples
///
/// ```
/// use client_auth::BasicCredentials;
/// use http::HeaderValue;
///
/// let header = HeaderValue::from_static("Basic YSUzQTE6cCtx"); // a%3A1:p+q
/// let credentials = BasicCredentials::decode(&header)?;
/// assert_eq!(credentials.client_id(), "a:1");
/// assert_eq!(credentials.secret(), "p q");
/// # Ok::<(), client_auth::InvalidBasic>(())
/// ```
pub struct BasicCredentials {
    /// Decoded identifier and secret, separated by a colon.
    pair: Zeroizing<String>,
    colon: usize,
}

impl BasicCredentials {
    /// Longest header value that is decoded, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Decodes the value of an `Authorization` header.
    ///
    /// The scheme may be in any case, followed by one or more spaces. Base64 and escapes are strict, and control
    /// characters are refused.
    ///
    /// # Errors
    ///
    /// [`InvalidBasic`] names the rule that the value breaks.
    pub fn decode(value: &HeaderValue) -> Result<Self, InvalidBasic> {
        let value = value.as_bytes();
        if value.len() > Self::MAX_BYTES {
            return Err(InvalidBasic::TooLong);
        }
        // A-AUTHN-1
        let at = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
        let (scheme, mut rest) = value.split_at(at);
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return Err(InvalidBasic::OtherScheme);
        }
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
        Self::decode_pair(rest).ok_or(InvalidBasic::Malformed)
    }

    fn decode_pair(encoded: &[u8]) -> Option<Self> {
        // Decoded bytes are wiped, here and below, except for a part of a secret with a broken escape.
        let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len().div_ceil(4) * 3));
        STANDARD.decode_vec(encoded, &mut bytes).ok()?;
        // The first colon is the separator, because any other is encoded (RFC 6749 appendix B).
        let colon = bytes.iter().position(|&byte| byte == b':').filter(|&at| at > 0)?;
        // Most pairs are printable ASCII without escapes, which needs no decoding.
        let is_plain = |all, &byte: &u8| {
            all & (byte.wrapping_sub(b' ') < 0x5F) & (byte != b'%') & (byte != b'+')
        };
        if !bytes.iter().fold(true, is_plain) {
            return Self::from_encoded(bytes.get(..colon)?, bytes.get(colon + 1..)?);
        }
        let pair = String::from_utf8(mem::take(&mut *bytes)).ok()?;
        Some(Self { pair: Zeroizing::new(pair), colon })
    }

    fn from_encoded(id: &[u8], secret: &[u8]) -> Option<Self> {
        let mut pair = Zeroizing::new(String::with_capacity(id.len() + 1 + secret.len()));
        pair.push_str(&decode_component(id).ok()?);
        let colon = pair.len();
        pair.push(':');
        pair.push_str(&Zeroizing::new(decode_component(secret).ok()?.into_owned()));
        (!pair.chars().any(char::is_control)).then_some(Self { pair, colon })
    }

    /// Returns the client identifier: not empty, without control characters, not verified.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.part(0..self.colon)
    }

    /// Returns the secret, which may be empty.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.part(self.colon + 1..self.pair.len())
    }

    /// Copies the credentials, for the clone of a `Presented`; they are not `Clone`, so that no copy is made in passing.
    pub(crate) fn copy(&self) -> Self {
        Self { pair: self.pair.clone(), colon: self.colon }
    }

    #[expect(clippy::expect_used, reason = "both constructors put a colon at this place")]
    fn part(&self, part: Range<usize>) -> &str {
        self.pair.get(part).expect("the parts of a pair end at its colon")
    }
}

/// Returns the header value for these credentials, marked sensitive.
#[expect(clippy::expect_used, reason = "memory takes all text, and base64 is a header value")]
pub(crate) fn encode(client_id: &ClientId, secret: &Secret) -> HeaderValue {
    // C-TOKEN-3. The capacity suffices for the longest pair, because a buffer that grows leaves a copy behind.
    let (id, secret) = (client_id.as_str(), secret.expose());
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    write!(pair, "{}:{}", encode_component(id), encode_component(secret))
        .expect("a string takes all text");
    let header = Secret::new(STANDARD.encode(&*pair)).header_value("Basic ");
    header.expect("base64 is a header value")
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicCredentials([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Result<(String, String), InvalidBasic> {
        let read = BasicCredentials::decode(&HeaderValue::from_str(header).unwrap())?;
        Ok((read.client_id().to_owned(), read.secret().to_owned()))
    }

    fn basic(pair: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    /// A-AUTHN-1, SEC-071
    #[test]
    fn the_scheme_in_any_case_and_spaces_only() {
        let pair = STANDARD.encode("c1:s");
        for good in [format!("basic {pair}"), format!("BASIC   {pair}")] {
            assert_eq!(read(&good), Ok(("c1".to_owned(), "s".to_owned())), "{good}");
        }
        assert_eq!(read(&format!("Basic\t{pair}")), Err(InvalidBasic::OtherScheme));
        assert_eq!(read(&format!("Basic \t{pair}")), Err(InvalidBasic::Malformed));
        assert_eq!(read(&format!("Bearer {pair}")), Err(InvalidBasic::OtherScheme));
    }

    /// A-AUTHN-1, SEC-072
    #[test]
    fn base64_is_strict() {
        for bad in ["YzE6 cw==", "YzE6cw", "YzE6cw=", "Y-E6_w==", "Y!zE6cw==", "", "bm9jb2xvbg=="] {
            assert_eq!(read(&format!("Basic {bad}")), Err(InvalidBasic::Malformed), "{bad}");
        }
    }

    /// A-AUTHN-1, SEC-073, SEC-074
    #[test]
    fn split_at_the_first_colon_then_decode() {
        let pair = |id: &str, secret: &str| Ok((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&basic(b"a%3Ab:c")), pair("a:b", "c"));
        assert_eq!(read(&basic(b"a:b:c")), pair("a", "b:c"));
        assert_eq!(read(&basic(b"a:")), pair("a", ""));
        assert_eq!(read(&basic(b"x+y:p%20q")), pair("x y", "p q"));
        for bad in [&b"a:%zz"[..], b"a:%f", b"a:%ff", b"a%00:b", b"a:%00", b":x", b"\xff:x"] {
            assert_eq!(read(&basic(bad)), Err(InvalidBasic::Malformed), "{bad:?}");
        }
    }

    proptest! {
        /// C-TOKEN-3
        #[test]
        fn what_is_encoded_decodes(id in "\\PC{1,30}", secret in "\\PC{0,30}") {
            let header = encode(&ClientId::parse(&id).unwrap(), &Secret::new(secret.as_str()));
            prop_assert!(header.is_sensitive());
            prop_assert_eq!(read(header.to_str().unwrap()), Ok((id, secret)));
        }
    }
}
