//! Client side of `private_key_jwt` (RFC 7523 §2.2): signing of client assertions.
//!
//! The same keys sign other JWTs of a server.

use core::fmt;
use core::time::Duration;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, ClientAssertionType, ClientId, Entropy, FormWriter,
    Issuer, Secret, SigningAlgorithm, UnixTime,
};
use serde::Serialize;
use serde_json::Value;

use crate::attach::NoUsableMethod;

/// Lifetime of an assertion: long enough for a slow network and a wrong clock.
const LIFETIME: Duration = Duration::from_secs(300);

/// Private key for client assertions or a server's tokens: ES256, EdDSA or RS256.
///
/// The algorithms are those of RFC 7518 §3.3, §3.4 and RFC 8037 §3.1.
///
/// # Examples
///
/// ```
/// use client_auth::SigningKey;
/// use oauth_types::{ClientId, Entropy, FormWriter, Issuer, SigningAlgorithm, UnixTime};
///
/// # let pem = include_str!("../tests/keys/es256.pem");
/// let key = SigningKey::from_pem(SigningAlgorithm::Es256, pem)?.with_id("2026-11");
/// let client = ClientId::parse("https://client.example/oauth.json").unwrap();
/// let issuer = Issuer::parse("https://as.example").unwrap();
///
/// let mut form = FormWriter::new();
/// let (now, random) = (UnixTime::from_secs(1_800_000_000), Entropy::new([7; 16]));
/// key.sign(&client, &issuer, now, random)?.attach(&mut form);
/// assert!(form.as_str().contains("client_assertion=eyJ"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    algorithm: SigningAlgorithm,
    id: Option<Box<str>>,
    key: EncodingKey,
}

/// Reason why a private key (RFC 5958, RFC 7468) cannot be used for signing.
///
/// The error contains nothing of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidSigningKey {
    /// The algorithm is not ES256, EdDSA or RS256.
    Algorithm,
    /// The text is not a PKCS#8 private key of the algorithm.
    Form,
    /// Another key of the set has the same identifier (RFC 7517 §4.5).
    RepeatedId,
}

impl fmt::Display for InvalidSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => {
                "the algorithm is not one to sign with: configure a key for ES256, EdDSA or \
                 RS256"
            }
            Self::Form => {
                "the text is not a private key of the algorithm in PKCS#8 and PEM: write it \
                 with `openssl genpkey`, or name its own algorithm"
            }
            Self::RepeatedId => {
                "two keys of the set have the same identifier: give each its own `kid` (RFC \
                 7517 §4.5)"
            }
        })
    }
}

impl core::error::Error for InvalidSigningKey {}

/// Error of a signature that could not be made.
///
/// Memory or randomness ran out, or an input cannot be encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SigningFailed;

impl fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the key could not sign: memory or randomness ran out, or an input cannot be \
             encoded; try again, then check the key",
        )
    }
}

impl core::error::Error for SigningFailed {}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: UnixTime,
    iat: UnixTime,
    jti: &'a str,
}

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM, as `openssl genpkey` writes it.
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey`] when the algorithm is not supported or the key is not one of it; at once, before
    /// anything is signed.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &str) -> Result<Self, InvalidSigningKey> {
        let key = match algorithm {
            SigningAlgorithm::Es256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            SigningAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem.as_bytes()),
            SigningAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            _ => return Err(InvalidSigningKey::Algorithm),
        };
        let key = key.map_err(|_| InvalidSigningKey::Form)?;
        let own = Self { algorithm, id: None, key };
        // The library parses a key only when it signs, so a JWT is signed here to refuse an invalid key at once.
        own.encode(None, &()).map_err(|_| InvalidSigningKey::Form)?;
        Ok(own)
    }

    /// Sets the identifier (`kid`) under which the public half of the key is published.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Returns the identifier that was set.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Sets the key's thumbprint (RFC 7638, SHA-256) as its identifier, unless it has one.
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey::Form`] when the public half cannot be derived, as for [`public_key`](Self::public_key).
    pub fn identified(self) -> Result<Self, InvalidSigningKey> {
        if self.id.is_some() {
            return Ok(self);
        }
        let thumbprint = self.jwk().and_then(|jwk| jwk.thumbprint(ThumbprintHash::SHA256));
        Ok(self.with_id(&thumbprint.map_err(|_| InvalidSigningKey::Form)?))
    }

    /// Returns the public half as a JWK, to be published (RFC 7517 §4).
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey::Form`] when the library cannot derive it from the private key: it reads Ed25519 keys only
    /// without their public half.
    pub fn public_key(&self) -> Result<Value, InvalidSigningKey> {
        let public = self.jwk().and_then(|mut jwk| {
            jwk.common.key_id = self.id.as_deref().map(str::to_owned);
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            Ok(serde_json::to_value(jwk)?)
        });
        public.map_err(|_| InvalidSigningKey::Form)
    }

    /// Returns the algorithm of the key's signatures.
    #[must_use]
    pub const fn algorithm(&self) -> &SigningAlgorithm {
        &self.algorithm
    }

    /// Checks that a server accepts assertions signed with this key (RFC 8414 §2).
    ///
    /// The server has to list `private_key_jwt`, and the key's algorithm unless it lists none.
    ///
    /// # Errors
    ///
    /// [`NoUsableMethod::KeyNotAccepted`] when the server does not list the method or the algorithm.
    pub fn accepted_by(&self, server: &AuthorizationServerMetadata) -> Result<(), NoUsableMethod> {
        // C-TOKEN-2
        let listed = server.token_endpoint_auth_signing_alg_values_supported.as_deref();
        if !server.auth_methods().contains(&AuthMethod::PrivateKeyJwt)
            || listed.is_some_and(|listed| !listed.contains(&self.algorithm))
        {
            return Err(NoUsableMethod::KeyNotAccepted);
        }
        Ok(())
    }

    /// Signs an assertion for one request to one authorization server, valid for five minutes.
    ///
    /// `audience` is the issuer that discovery has validated, as a single string. A list, or an endpoint URL that a
    /// server chose, could make the assertion valid at another server.
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] when the cryptographic library fails.
    pub fn sign(
        &self,
        client_id: &ClientId,
        audience: &Issuer,
        now: UnixTime,
        entropy: Entropy<16>,
    ) -> Result<ClientAssertion, SigningFailed> {
        // A-AUTHN-9
        let jti = entropy.into_secret();
        let claims = Claims {
            iss: client_id.as_str(),
            sub: client_id.as_str(),
            aud: audience.as_str(),
            exp: now.saturating_add(LIFETIME),
            iat: now,
            jti: jti.expose(),
        };
        let token = Secret::new(self.encode(None, &claims).map_err(|_| SigningFailed)?);
        Ok(ClientAssertion { client_id: client_id.clone(), token })
    }

    /// Signs other claims as a JWT of this type (RFC 8725 §3.11).
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] when the cryptographic library fails, or the claims do not serialize to a JSON object.
    pub fn sign_claims(&self, typ: &str, claims: &impl Serialize) -> Result<Secret, SigningFailed> {
        Ok(Secret::new(self.encode(Some(typ), claims).map_err(|_| SigningFailed)?))
    }

    fn jwk(&self) -> Result<Jwk, jsonwebtoken::errors::Error> {
        Jwk::from_encoding_key(&self.key, self.spoken())
    }

    const fn spoken(&self) -> Algorithm {
        match self.algorithm {
            SigningAlgorithm::EdDsa => Algorithm::EdDSA,
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            _ => Algorithm::ES256,
        }
    }

    fn encode(
        &self,
        typ: Option<&str>,
        claims: &impl Serialize,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        // With two cryptographic providers in one build the library panics unless one is chosen; with one, this has
        // no effect.
        let _ = DEFAULT_PROVIDER.install_default();
        let mut header = Header::new(self.spoken());
        header.typ = typ.map(str::to_owned).or(header.typ);
        header.kid = self.id.as_deref().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [redacted])", self.algorithm.as_str())
    }
}

/// Signed client assertion (RFC 7523 §2.2), valid for one request: sign another for the next.
#[derive(Debug)]
#[must_use = "an assertion is made to be sent"]
pub struct ClientAssertion {
    client_id: ClientId,
    token: Secret,
}

impl ClientAssertion {
    /// Adds the client's identifier, the assertion's type and the assertion to a form (RFC 7521 §4.2).
    pub fn attach(self, form: &mut FormWriter) {
        form.append("client_id", self.client_id.as_str());
        form.append("client_assertion_type", ClientAssertionType::JwtBearer.as_str());
        form.append("client_assertion", self.token.expose());
    }
}
