//! Server side of DPoP: does the sender hold the key that a token is, or is to be, bound to? (RFC 9449 §4.3)
//!
//! | check, in this order | [`InvalidProof`] |
//! |---|---|
//! | there is one `DPoP` header | `Repeated` |
//! | it is a proof, with a public key for an algorithm that is spoken here | `Malformed` |
//! | that key has signed it, in that algorithm | `WrongSignature` |
//! | it is for this method and URL | `OtherRequest` |
//! | it was made a minute ago at most, give or take a minute | `OutsideLifetime` |
//! | it is for the token that is shown, where one is | `OtherToken` |
//! | it is of the key that this token is bound to ([`VerifiedProof::of_key`]) | `OtherKey` |
//! | its nonce is the server's, where the server asks for one | the host's: [`VerifiedProof::nonce`] |
//! | it is used for the first time | `Replayed` |

use core::fmt;

use oauth_types::Thumbprint;
#[cfg(feature = "dpop")]
pub use read::{PresentedProof, VerifiedProof};

use crate::replay::Replayed;

/// Why a proof is not taken. For the log: the client hears one code for all of them (RFC 9449 §5, §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidProof {
    /// There is none, and there has to be one.
    Missing,
    /// There is more than one `DPoP` header.
    Repeated,
    /// It is no JWT of the right type with the claims that it needs and a public key that is spoken here.
    Malformed,
    /// The key that it names has not signed it.
    WrongSignature,
    /// It was made for another method or URL.
    OtherRequest,
    /// It was made too long ago, or has yet to be made.
    OutsideLifetime,
    /// It was made for another token.
    OtherToken,
    /// It does not carry a nonce of the server's that is still good.
    Nonce,
    /// It was used before.
    Replayed,
    /// It is of another key than the one that the grant is bound to.
    OtherKey,
}

impl fmt::Display for InvalidProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proof of possession is not valid")
    }
}

impl core::error::Error for InvalidProof {}

impl From<Replayed> for InvalidProof {
    fn from(_: Replayed) -> Self {
        Self::Replayed
    }
}

/// A key that the sender of a request holds: only a proof leads to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldKey(Thumbprint);

impl HeldKey {
    /// Which key: what is written into `cnf.jkt` (RFC 9449 §6).
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

    use super::{HeldKey, InvalidProof};
    use crate::jws::Lifetime;
    use crate::keys::VerifyingKeys;
    use crate::replay::FirstUse;

    /// How long a proof counts where no window is given, clocks that are off not included.
    const LIFETIME: Duration = Duration::from_secs(60);
    /// Longest proof: the largest RSA key that is spoken here fits twice.
    const MAX_PROOF: usize = 4096;
    /// Longest identifier of a proof, in bytes.
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

    /// A proof out of a request. Nothing of it is verified.
    #[derive(Clone, Debug)]
    #[must_use = "nothing is held until `verify` says so"]
    pub struct PresentedProof {
        text: Secret,
        window: Option<Duration>,
    }

    impl PresentedProof {
        /// The widest window that can be given ([`with_window`](Self::with_window)).
        pub const MAX_WINDOW: Duration = Duration::from_secs(5 * 60);

        /// Takes the proof out of the `DPoP` header; `None` when there is none.
        ///
        /// # Errors
        ///
        /// [`InvalidProof`] when there are several, or it cannot be one.
        pub fn parse(headers: &HeaderMap) -> Result<Option<Self>, InvalidProof> {
            let mut lines = headers.get_all(DPOP).iter();
            let (Some(line), second) = (lines.next(), lines.next()) else { return Ok(None) };
            if second.is_some() {
                return Err(InvalidProof::Repeated);
            }
            match line.to_str() {
                Ok(text) if text.len() <= MAX_PROOF => {
                    Ok(Some(Self { text: Secret::new(text), window: None }))
                }
                _ => Err(InvalidProof::Malformed),
            }
        }

        /// Takes the proof if it was made (`iat`) within `window` before or after now, clocks that are off included;
        /// five minutes at most, as MCP servers do (SEP-1932). Without a window it is two minutes before and one after.
        pub fn with_window(mut self, window: Duration) -> Self {
            self.window = Some(window.min(Self::MAX_WINDOW));
            self
        }

        /// Returns the time at which a proof that was made at `iat` stops to count; `None` if it does not count now.
        fn until(&self, iat: UnixTime, now: UnixTime) -> Option<UnixTime> {
            let Some(window) = self.window else {
                return Lifetime::new(iat.plus(LIFETIME)).with_iat(iat).until(now);
            };
            // The last second of the window is one of it.
            let until = iat.plus(window).plus(Duration::from_secs(1));
            (iat <= now.plus(window) && now < until).then_some(until)
        }

        /// Verifies the proof for a request with this method to this URL, of which query and fragment do not count.
        /// `token` is what a resource server was shown, `None` at a token endpoint.
        ///
        /// # Errors
        ///
        /// [`InvalidProof`]
        pub fn verify(
            self,
            method: &Method,
            url: &str,
            token: Option<&Secret>,
            now: UnixTime,
        ) -> Result<VerifiedProof, InvalidProof> {
            let proof = self.text.expose();
            let (keys, thumbprint) = own_key(proof).ok_or(InvalidProof::Malformed)?;
            let claims: Claims =
                keys.verify(proof, "dpop+jwt").ok_or(InvalidProof::WrongSignature)?;
            if claims.htm != method.as_str() || !is_same_target(&claims.htu, url) {
                return Err(InvalidProof::OtherRequest);
            }
            let until = self.until(claims.iat, now).ok_or(InvalidProof::OutsideLifetime)?;
            if let Some(token) = token {
                let ath = URL_SAFE_NO_PAD.encode(token.digest().as_bytes());
                if claims.ath != Some(ath) {
                    return Err(InvalidProof::OtherToken);
                }
            }
            if !(1..=MAX_JTI).contains(&claims.jti.len()) {
                return Err(InvalidProof::Malformed);
            }
            // A client assertion's key begins with a digit; the thumbprint is of one length.
            let key = SecretDigest::of(&format!("dpop:{thumbprint}{}", claims.jti));
            Ok(VerifiedProof { held: HeldKey(thumbprint), nonce: claims.nonce, key, until })
        }
    }

    /// The public key in the proof's header, as a set of one that is used with the header's algorithm, and which key
    /// it is.
    fn own_key(proof: &str) -> Option<(VerifyingKeys, Thumbprint)> {
        let (header, _) = proof.split_once('.')?;
        let raw: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let algorithm = SigningAlgorithm::from_name(raw.get("alg")?.as_str()?);
        // A private or symmetric key is refused here, and every algorithm that does not fit.
        let set = json!({ "keys": [raw.get("jwk")?] });
        let keys = VerifyingKeys::from_jwks(&set, Some(&algorithm)).ok()?;
        let jwk = jsonwebtoken::decode_header(proof).ok()?.jwk?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        Some((keys, Thumbprint::parse(&thumbprint).ok()?))
    }

    /// Whether both are one target, query and fragment left out: of the authority, case and a default port do not
    /// count (RFC 9449 §4.3).
    fn is_same_target(claimed: &str, url: &str) -> bool {
        let target = |text: &str| EndpointUrl::parse(without_query(text)).ok();
        match (target(claimed), target(url)) {
            (Some(claimed), Some(url)) => {
                claimed.origin() == url.origin() && claimed.path() == url.path()
            }
            _ => false,
        }
    }

    /// Verified proof of a key, which counts if it is used for the first time.
    #[derive(Clone, Debug)]
    #[must_use = "nothing is held before the replay check"]
    pub struct VerifiedProof {
        held: HeldKey,
        nonce: Option<String>,
        key: SecretDigest,
        until: UnixTime,
    }

    impl VerifiedProof {
        /// Returns the nonce that the proof carries (RFC 9449 §8); the host decides whether it is a valid one.
        #[must_use]
        pub fn nonce(&self) -> Option<&str> {
            self.nonce.as_deref()
        }

        /// Requires that the proof is of the key that a token is bound to.
        ///
        /// Ask before anything is remembered of a proof that is presented with a token, because anybody can sign one for
        /// a token that they have seen.
        ///
        /// # Errors
        ///
        /// [`InvalidProof::OtherKey`]
        pub fn of_key(self, bound: &Thumbprint) -> Result<Self, InvalidProof> {
            if self.held.thumbprint() == bound { Ok(self) } else { Err(InvalidProof::OtherKey) }
        }

        /// Goes on to the last check. The key to remember is a digest of the proof's key and its identifier (`jti`).
        pub fn first_use(self) -> FirstUse<HeldKey> {
            FirstUse::new(self.held, self.key, self.until)
        }
    }
}
