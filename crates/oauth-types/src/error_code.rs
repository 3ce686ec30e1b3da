//! OAuth `error` codes, per endpoint.

use core::fmt;

use crate::text_impls::as_str_impls;

/// Unknown error code, of 1 to 64 characters that RFC 6749 §5.2 allows, so it is safe to show.
///
/// # Examples
///
/// ```
/// use oauth_types::TokenErrorCode;
///
/// assert_eq!("invalid_grant".parse(), Ok(TokenErrorCode::InvalidGrant));
/// let TokenErrorCode::Other(code) = "slow_down".parse()? else { panic!("it is known") };
/// assert_eq!(code.as_str(), "slow_down");
/// # Ok::<(), oauth_types::InvalidErrorCode>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OtherCode(Box<str>);

impl OtherCode {
    /// Longest unknown code, in bytes.
    pub const MAX_BYTES: usize = 64;

    fn parse(code: &str) -> Option<Self> {
        let allowed = |b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let bounded = (1..=Self::MAX_BYTES).contains(&code.len());
        (bounded && code.bytes().all(allowed)).then(|| Self(code.into()))
    }

    /// Returns the text of the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

as_str_impls!(OtherCode);

/// Error for a text that is not an error code (RFC 6749 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InvalidErrorCode;

impl fmt::Display for InvalidErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the text is not an error code; use 1 to {} printable ASCII characters, without space, quote \
             and backslash",
            OtherCode::MAX_BYTES
        )
    }
}

impl core::error::Error for InvalidErrorCode {}

macro_rules! error_codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// Any other code.
            Other(OtherCode),
        }

        impl $name {
            /// Parses a code; `None` if it is empty, too long, or has a character that RFC 6749 §5.2 excludes.
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> {
                match code {
                    $($text => Some(Self::$variant),)+
                    other => OtherCode::parse(other).map(Self::Other),
                }
            }

            /// Returns the code as it is sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(code) => code.as_str(),
                }
            }
        }

        crate::text_impls::as_str_impls!($name);

        impl core::str::FromStr for $name {
            type Err = InvalidErrorCode;

            fn from_str(code: &str) -> Result<Self, InvalidErrorCode> {
                Self::parse(code).ok_or(InvalidErrorCode)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidErrorCode;

            fn try_from(code: &str) -> Result<Self, InvalidErrorCode> {
                code.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidErrorCode;

            fn try_from(code: String) -> Result<Self, InvalidErrorCode> {
                code.parse()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

error_codes! {
    /// Errors of the authorization endpoint (RFC 6749 §4.1.2.1, RFC 8707 §2, OpenID Connect Core §3.1.2.6).
    AuthorizationErrorCode {
        /// The request is malformed.
        InvalidRequest = "invalid_request",
        /// The client may not use this response type.
        UnauthorizedClient = "unauthorized_client",
        /// The resource owner or the server denied the request.
        AccessDenied = "access_denied",
        /// The server does not offer this response type.
        UnsupportedResponseType = "unsupported_response_type",
        /// A scope is unknown, malformed or not allowed.
        InvalidScope = "invalid_scope",
        /// The resource is unknown or malformed.
        InvalidTarget = "invalid_target",
        /// No user is logged in, and the request forbids a login page.
        LoginRequired = "login_required",
        /// The user would have to consent, and the request forbids asking.
        ConsentRequired = "consent_required",
        /// The server met an unexpected condition.
        ServerError = "server_error",
        /// The server is overloaded or in maintenance.
        TemporarilyUnavailable = "temporarily_unavailable",
    }
}

error_codes! {
    /// Errors of the token and revocation endpoints (RFC 6749 §5.2, RFC 7009 §2.2, RFC 8707 §2).
    TokenErrorCode {
        /// The request is malformed.
        InvalidRequest = "invalid_request",
        /// Client authentication failed.
        InvalidClient = "invalid_client",
        /// The code, refresh token or assertion is not valid for this client.
        InvalidGrant = "invalid_grant",
        /// The client may not use this grant type.
        UnauthorizedClient = "unauthorized_client",
        /// The server does not support this grant type.
        UnsupportedGrantType = "unsupported_grant_type",
        /// A scope is unknown, malformed or exceeds the granted scopes.
        InvalidScope = "invalid_scope",
        /// The resource is not the one that was authorized.
        InvalidTarget = "invalid_target",
        /// The server met an unexpected condition.
        ServerError = "server_error",
        /// The server cannot answer now; the request may be repeated unchanged.
        TemporarilyUnavailable = "temporarily_unavailable",
        /// The proof of possession has to carry the nonce of the response's `DPoP-Nonce` (RFC 9449 §8).
        UseDpopNonce = "use_dpop_nonce",
        /// The proof of possession is not valid (RFC 9449 §5).
        InvalidDpopProof = "invalid_dpop_proof",
    }
}

error_codes! {
    /// Errors of the registration endpoint (RFC 7591 §3.2.2).
    RegistrationErrorCode {
        /// A redirect URI is not allowed.
        InvalidRedirectUri = "invalid_redirect_uri",
        /// Another member is not allowed, or members contradict each other.
        InvalidClientMetadata = "invalid_client_metadata",
        /// The server cannot answer now.
        TemporarilyUnavailable = "temporarily_unavailable",
    }
}

error_codes! {
    /// Errors of a Bearer challenge (RFC 6750 §3.1), or of a DPoP challenge (RFC 9449 §7.1).
    BearerErrorCode {
        /// The request is malformed.
        InvalidRequest = "invalid_request",
        /// The token is expired, revoked, malformed or meant for another resource.
        InvalidToken = "invalid_token",
        /// The token lacks a scope that the request needs.
        InsufficientScope = "insufficient_scope",
        /// The proof of possession has to carry the nonce of the response's `DPoP-Nonce` (RFC 9449 §9).
        UseDpopNonce = "use_dpop_nonce",
        /// The proof of possession is not valid (RFC 9449 §7.1).
        InvalidDpopProof = "invalid_dpop_proof",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_and_bounded() {
        assert_eq!(TokenErrorCode::parse("invalid_grant"), Some(TokenErrorCode::InvalidGrant));
        assert_eq!(TokenErrorCode::parse("slow_down").unwrap().as_str(), "slow_down");
        for bad in ["", "a\"b", "a b", "a\r\nb", "caf\u{e9}", &"x".repeat(65)] {
            assert_eq!(TokenErrorCode::parse(bad), None, "{bad:?}");
        }
    }
}
