//! Server side of DPoP (RFC 9449 §4.3): verification of proofs of possession.
//!
//! | check, in this order | [`DpopError`] |
//! |---|---|
//! | the request has one `DPoP` header | `Repeated` |
//! | it holds a proof with a public key for a supported algorithm | `Malformed` |
//! | that key has signed the proof, in that algorithm | `WrongSignature` |
//! | the proof is for this method and URL | `OtherRequest` |
//! | the proof was made in the last minute, a minute of skew aside, or in the window | `OutsideLifetime` |
//! | the proof is for the access token of the request, if there is one | `OtherToken` |
//! | the proof's `jti` has 1 to 256 bytes | `Malformed` |
//! | the proof's key is the one that this token is bound to ([`VerifiedProof::of_key`]) | `OtherKey` |
//! | the proof carries a nonce of the server, if the server requires one | the host's: [`VerifiedProof::nonce`] |
//! | the proof is used for the first time | `Replayed` |

use core::fmt;

use oauth_types::Thumbprint;
#[cfg(feature = "dpop")]
pub use read::{PresentedProof, VerifiedProof};

use crate::replay::Replayed;

/// Reason why a DPoP proof is refused.
///
/// It is for the log: the client receives one code for all reasons (RFC 9449 §5, §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DpopError {
    /// The request has no proof and needs one.
    Missing,
    /// The request has more than one `DPoP` header.
    Repeated,
    /// The proof is not a well-formed JWT of type `dpop+jwt` (RFC 9449 §4.2).
    ///
    /// It lacks a required claim or a public key of a supported algorithm, or is too long.
    Malformed,
    /// The signature is not of the key in the proof's header.
    WrongSignature,
    /// The proof was made for another method or URL.
    OtherRequest,
    /// The proof was made too long ago, or in the future.
    OutsideLifetime,
    /// The proof was made for another token.
    OtherToken,
    /// The proof carries no nonce of this server that is still valid.
    Nonce,
    /// The proof was used before.
    Replayed,
    /// The proof's key is not the one that the grant is bound to.
    OtherKey,
}

impl fmt::Display for DpopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the proof of possession is missing: the client has to send one in the header \
                 `DPoP`"
            }
            Self::Repeated => {
                "the request has more than one `DPoP` header: the client has to send one"
            }
            Self::Malformed => {
                "the proof of possession is no DPoP JWT with a key that is supported here: the \
                 client has to make one as RFC 9449 §4.2 says"
            }
            Self::WrongSignature => {
                "the proof of possession is not signed with the key that it names: the client has \
                 to sign it with that key"
            }
            Self::OtherRequest => {
                "the proof of possession was made for another method or URL: the client has to \
                 make one for this request, or behind a proxy the operator has to configure the \
                 public URL"
            }
            Self::OutsideLifetime => {
                "the proof of possession was made too long ago, or the client's clock is ahead: \
                 compare the clocks of client and server"
            }
            Self::OtherToken => {
                "the proof of possession was made for another token: the client has to put the \
                 hash of this one into `ath`"
            }
            Self::Nonce => {
                "the proof of possession has no valid nonce of this server: the client has to \
                 repeat the request with the nonce of the response"
            }
            Self::Replayed => {
                "the proof of possession was used before: the client has to make one for each \
                 request"
            }
            Self::OtherKey => {
                "the proof of possession has another key than the grant is bound to: the client \
                 has to use that key, or to log in again"
            }
        })
    }
}

impl core::error::Error for DpopError {}

impl From<Replayed> for DpopError {
    fn from(_: Replayed) -> Self {
        Self::Replayed
    }
}

/// Key that the sender of a request holds; only a verified proof yields one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DpopKey(Thumbprint);

impl DpopKey {
    /// Returns the JWK thumbprint of the key, for `cnf.jkt` (RFC 9449 §6.1).
    #[must_use]
    pub const fn thumbprint(&self) -> &Thumbprint {
        &self.0
    }
}

#[cfg(feature = "dpop")]
mod read {
    use core::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http::{HeaderMap, Method};
    use jsonwebtoken::jwk::ThumbprintHash;
    use oauth_types::header::DPOP;
    use oauth_types::{
        EndpointUrl, Secret, SecretDigest, SigningAlgorithm, Thumbprint, UnixTime, without_query,
    };
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{DpopError, DpopKey};
    use crate::jws::Lifetime;
    use crate::keys::VerifyingKeys;
    use crate::replay::FirstUse;

    /// Time in which a proof is valid if no window is set, clock skew not included.
    const LIFETIME: Duration = Duration::from_secs(60);
    /// Longest proof, in bytes: twice the size that the largest supported RSA key needs.
    const MAX_PROOF: usize = 4096;
    /// Longest `jti` of a proof, in bytes.
    const MAX_JTI: usize = 256;

    #[derive(Deserialize)]
    struct Claims {
        htm: String,
        htu: String,
        iat: UnixTime,
        jti: String,
        #[serde(default)]
        ath: Option<String>,
        #[serde(default)]
        nonce: Option<String>,
    }

    /// DPoP proof from a request; nothing of it is verified.
    #[derive(Clone, Debug)]
    #[must_use = "nothing is held until `verify` says so"]
    pub struct PresentedProof {
        text: Secret,
        window: Option<Duration>,
    }

    impl PresentedProof {
        /// Widest window that [`with_window`](Self::with_window) accepts.
        pub const MAX_WINDOW: Duration = Duration::from_secs(5 * 60);

        /// Takes the proof out of the `DPoP` header; `None` when there is no such header.
        ///
        /// # Errors
        ///
        /// [`DpopError::Repeated`] when there are several headers, [`DpopError::Malformed`] when the value is
        /// not text or too long.
        pub fn parse(headers: &HeaderMap) -> Result<Option<Self>, DpopError> {
            let mut lines = headers.get_all(DPOP).iter();
            let (Some(line), second) = (lines.next(), lines.next()) else { return Ok(None) };
            if second.is_some() {
                return Err(DpopError::Repeated);
            }
            match line.to_str() {
                Ok(text) if text.len() <= MAX_PROOF => {
                    Ok(Some(Self { text: Secret::new(text), window: None }))
                }
                _ => Err(DpopError::Malformed),
            }
        }

        /// Accepts a proof whose `iat` lies within `window` before or after now, clock skew included.
        ///
        /// The window is at most five minutes, as MCP servers use (SEP-1932). Without one it is two minutes before
        /// and one minute after.
        pub fn with_window(mut self, window: Duration) -> Self {
            self.window = Some(window.min(Self::MAX_WINDOW));
            self
        }

        /// Returns the time at which a proof made at `iat` stops being valid; `None` if it is not valid now.
        fn until(&self, iat: UnixTime, now: UnixTime) -> Option<UnixTime> {
            let Some(window) = self.window else {
                return Lifetime::new(iat.saturating_add(LIFETIME)).with_iat(iat).until(now);
            };
            // The last second of the window belongs to it.
            let until = iat.saturating_add(window).saturating_add(Duration::from_secs(1));
            (iat <= now.saturating_add(window) && now < until).then_some(until)
        }

        /// Verifies the proof for a request with this method to this URL.
        ///
        /// The URL's query and fragment are ignored. `token` is the access token of a request to a resource server;
        /// it is `None` at a token endpoint.
        ///
        /// # Errors
        ///
        /// [`DpopError`] names the check that failed.
        pub fn verify(
            self,
            method: &Method,
            url: &str,
            token: Option<&Secret>,
            now: UnixTime,
        ) -> Result<VerifiedProof, DpopError> {
            let proof = self.text.expose();
            let (keys, thumbprint) = own_key(proof).ok_or(DpopError::Malformed)?;
            let claims: Claims = keys.verify(proof, "dpop+jwt").ok_or(DpopError::WrongSignature)?;
            if claims.htm != method.as_str() || !is_same_target(&claims.htu, url) {
                return Err(DpopError::OtherRequest);
            }
            let until = self.until(claims.iat, now).ok_or(DpopError::OutsideLifetime)?;
            if let Some(token) = token {
                let ath = URL_SAFE_NO_PAD.encode(token.digest().as_bytes());
                if claims.ath != Some(ath) {
                    return Err(DpopError::OtherToken);
                }
            }
            if !(1..=MAX_JTI).contains(&claims.jti.len()) {
                return Err(DpopError::Malformed);
            }
            // A client assertion's key text begins with a digit, so the two never collide; all thumbprints have one
            // length.
            let key = SecretDigest::of(&format!("dpop:{thumbprint}{}", claims.jti));
            Ok(VerifiedProof { held: DpopKey(thumbprint), nonce: claims.nonce, key, until })
        }
    }

    /// Returns the public key in the proof's header and its thumbprint.
    ///
    /// The key is a set of one, bound to the header's algorithm.
    fn own_key(proof: &str) -> Option<(VerifyingKeys, Thumbprint)> {
        let (header, _) = proof.split_once('.')?;
        let raw: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let algorithm = SigningAlgorithm::parse(raw.get("alg")?.as_str()?);
        // Private and symmetric keys are refused here, and keys that do not fit the algorithm.
        let set = json!({ "keys": [raw.get("jwk")?] });
        let keys = VerifyingKeys::from_jwks(&set, Some(&algorithm)).ok()?;
        let jwk = jsonwebtoken::decode_header(proof).ok()?.jwk?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        Some((keys, Thumbprint::parse(&thumbprint).ok()?))
    }

    /// Returns `true` if both URLs are one target, query and fragment ignored (RFC 9449 §4.3).
    ///
    /// In the authority, case and a default port make no difference.
    fn is_same_target(claimed: &str, url: &str) -> bool {
        let target = |text: &str| EndpointUrl::parse(without_query(text)).ok();
        match (target(claimed), target(url)) {
            (Some(claimed), Some(url)) => {
                claimed.origin() == url.origin() && claimed.path() == url.path()
            }
            _ => false,
        }
    }

    /// Verified DPoP proof, up to the replay check.
    #[derive(Clone, Debug)]
    #[must_use = "nothing is held before the replay check"]
    pub struct VerifiedProof {
        held: DpopKey,
        nonce: Option<String>,
        key: SecretDigest,
        until: UnixTime,
    }

    impl VerifiedProof {
        /// Returns the nonce that the proof carries (RFC 9449 §8); the host decides if it is valid.
        #[must_use]
        pub fn nonce(&self) -> Option<&str> {
            self.nonce.as_deref()
        }

        /// Requires that the proof's key is the one that a token is bound to.
        ///
        /// Call it before the replay check of a proof that is presented with a token, because anybody can sign a
        /// proof for a token that they have seen.
        ///
        /// # Errors
        ///
        /// [`DpopError::OtherKey`] when the thumbprints differ.
        pub fn of_key(self, bound: &Thumbprint) -> Result<Self, DpopError> {
            if self.held.thumbprint() == bound { Ok(self) } else { Err(DpopError::OtherKey) }
        }

        /// Proceeds to the replay check; the key to remember is a digest of the proof's key and `jti`.
        pub fn first_use(self) -> FirstUse<DpopKey> {
            FirstUse::new(self.held, self.key, self.until)
        }
    }
}
