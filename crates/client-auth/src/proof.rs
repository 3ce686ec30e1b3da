//! Client side of DPoP (RFC 9449 §4): keys that make proofs of possession for requests.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth_types::{Entropy, Secret, SigningAlgorithm, UnixTime, without_query};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::signing::{InvalidSigningKey, SigningFailed};

/// Private key that a client binds its tokens to (RFC 9449), for ES256.
///
/// Every server with DPoP accepts this algorithm. An attacker who has a bound token but not this key cannot use the
/// token. Keep the key as long as the tokens. Use a separate key for each authorization server if the servers must
/// not be able to link their users.
///
/// # Examples
///
/// ```
/// use client_auth::ProofKey;
/// use http::Method;
/// use oauth_types::{Entropy, UnixTime};
///
/// let key = ProofKey::from_pem(include_str!("../tests/keys/es256.pem"))?;
/// let (now, random) = (UnixTime::from_secs(1_800_000_000), Entropy::new([7; 16]));
/// let proof = key.prove(&Method::POST, "https://as.example/token", None, None, now, random)?;
/// assert!(proof.to_str()?.starts_with("eyJ"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ProofKey {
    key: EncodingKey,
    public: Jwk,
    thumbprint: Box<str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    htm: &'a str,
    htu: &'a str,
    iat: UnixTime,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl ProofKey {
    /// Algorithm of every proof.
    pub const ALGORITHM: SigningAlgorithm = SigningAlgorithm::Es256;

    /// Reads a private key: PKCS#8 in PEM.
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey::Form`] when the text is not a P-256 private key.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidSigningKey> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes());
        Self::new(key.map_err(|_| InvalidSigningKey::Form)?)
    }

    /// Reads a private key: PKCS#8 in DER, the form in which key generators return it.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidSigningKey> {
        Self::new(EncodingKey::from_ec_der(der))
    }

    fn new(key: EncodingKey) -> Result<Self, InvalidSigningKey> {
        // With two cryptographic providers in one build the library panics unless one is chosen; with one, this has
        // no effect.
        let _ = DEFAULT_PROVIDER.install_default();
        // The library parses a key only when it signs, so a JWT is signed here to refuse an invalid key at once.
        let public = Jwk::from_encoding_key(&key, Algorithm::ES256)
            .and_then(|public| {
                let public = public_members(&public)?;
                jsonwebtoken::encode(&Header::new(Algorithm::ES256), &(), &key)?;
                Ok((public.thumbprint(ThumbprintHash::SHA256)?, public))
            })
            .map_err(|_| InvalidSigningKey::Form)?;
        let (thumbprint, public) = public;
        Ok(Self { key, public, thumbprint: thumbprint.into() })
    }

    /// Returns the JWK thumbprint of the key (RFC 7638, SHA-256): the `cnf.jkt` of tokens bound to it.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Returns the proof for one request, as the value of its `DPoP` header (RFC 9449 §4.2).
    ///
    /// `url` is the URL of the request; its query and fragment are left out. `token` is the access token of a request
    /// to a resource server (`ath`); `nonce` is the value of the server's last `DPoP-Nonce` header.
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] when the cryptographic library fails, or the nonce is not visible ASCII.
    pub fn prove(
        &self,
        method: &Method,
        url: &str,
        token: Option<&Secret>,
        nonce: Option<&HeaderValue>,
        now: UnixTime,
        entropy: Entropy<16>,
    ) -> Result<HeaderValue, SigningFailed> {
        // C-EXT-3
        let jti = entropy.into_secret();
        let claims = Claims {
            htm: method.as_str(),
            htu: without_query(url),
            iat: now,
            jti: jti.expose(),
            ath: token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose()))),
            nonce: nonce.map(HeaderValue::to_str).transpose().map_err(|_| SigningFailed)?,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.public.clone());
        let proof = jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| SigningFailed)?;
        HeaderValue::try_from(proof).map_err(|_| SigningFailed)
    }
}

/// Returns only the members that name the key (RFC 7638 §3.2).
///
/// Some servers refuse an `alg` beside them.
fn public_members(jwk: &Jwk) -> Result<Jwk, jsonwebtoken::errors::Error> {
    let mut all = serde_json::to_value(jwk)?;
    let mut take = |name: &str| all.get_mut(name).map(Value::take);
    let public = json!({
        "kty": take("kty"), "crv": take("crv"), "x": take("x"), "y": take("y"),
    });
    Ok(serde_json::from_value(public)?)
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey([redacted])")
    }
}
