//! Client side of DPoP: prove that I hold the key that a token is bound to (RFC 9449 §4).

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

/// A private key that a client binds its tokens to: ES256, which all servers that speak DPoP take.
///
/// A token that is bound to it is worth nothing to whoever has only the token. Keep the key as long as the
/// tokens; use another for each authorization server where they should not be able to link their users.
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
    /// How it signs.
    pub const ALGORITHM: SigningAlgorithm = SigningAlgorithm::Es256;

    /// Reads a private key: PKCS#8 in PEM.
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey::Form`] when it is no P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidSigningKey> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes());
        Self::new(key.map_err(|_| InvalidSigningKey::Form)?)
    }

    /// Reads a private key: PKCS#8 in DER, as key generators hand it out.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidSigningKey> {
        Self::new(EncodingKey::from_ec_der(der))
    }

    fn new(key: EncodingKey) -> Result<Self, InvalidSigningKey> {
        // Two providers in one build would panic without a choice; where there is one, this changes nothing.
        let _ = DEFAULT_PROVIDER.install_default();
        // The library looks into a key only when it signs with it.
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

    /// Which key it is (RFC 7638, SHA-256): what a bound token names in `cnf.jkt`.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The proof for one request, for its `DPoP` header.
    ///
    /// `url` is the request's; its query and fragment are left out. `token` is what the request shows, at a
    /// resource server; `nonce` what the server asked for in a `DPoP-Nonce` header.
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] when the cryptographic library fails, or the nonce is no text.
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

/// The members that name the key (RFC 7638 §3.2) and nothing else: some servers refuse an `alg` beside them.
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
