//! Server side of client authentication (RFC 6749 §2.3).
//!
//! A server parses the request, looks the client up, and verifies once:
//!
//! | check, in this order | requirement | reason | answer |
//! |---|---|---|---|
//! | the body is a form (`From<FormError>`) | | `MalformedForm` | 400 `invalid_request` |
//! | no parameter or header appears twice | | `RepeatedParameter`, `RepeatedHeader` | 400 `invalid_request` |
//! | the header is not too long | | `HeaderTooLong` | 400 `invalid_request` |
//! | the header is Basic | A-AUTHN-1 | `UnknownScheme` | 401 `invalid_client` |
//! | the request uses one method only | A-AUTHN-3 | `SeveralMethods` | 400 `invalid_request` |
//! | the Basic credentials are well formed | A-AUTHN-1 | `MalformedHeader` | 401 `invalid_client` |
//! | the assertion is of an accepted type | A-AUTHN-9 | `AssertionNotSupported` | 401 `invalid_client` |
//! | the assertion is well formed | A-AUTHN-9 | `MalformedAssertion` | 401 `invalid_client` |
//! | body and credentials name one client | A-AUTHN-2 | `IdentifierMismatch` | 401 `invalid_client` |
//! | there is a client identifier | | `NoIdentifier` | 401 `invalid_client` |
//! | the client is known | A-AUTHN-5 | `UnknownClient` | 401 `invalid_client` |
//! | it presents the method it registered | A-AUTHN-4, A-AUTHN-7 | `WrongMethod` | 401 `invalid_client` |
//! | secret: the verifier reads the hash or its decoy | | `InvalidSecretHash` | 500 `server_error` |
//! | secret: one is stored | A-AUTHN-8 | `NoStoredSecret` | 401 `invalid_client` |
//! | secret: it has not expired | A-AUTHN-6 | `ExpiredSecret` | 401 `invalid_client` |
//! | secret: if a hash is stored, a verifier was used | | `NoSecretVerifier` | 500 `server_error` |
//! | secret: it equals the stored one | A-AUTHN-5 | `WrongSecret` | 401 `invalid_client` |
//! | assertion: keys are stored | A-AUTHN-8 | `NoStoredKeys` | 401 `invalid_client` |
//! | assertion: the one fitting key signed it, in its algorithm | A-AUTHN-9 | `WrongSignature` | 401 `invalid_client` |
//! | assertion: issuer and subject are the client | A-AUTHN-9 | `WrongIssuer` | 401 `invalid_client` |
//! | assertion: its audience is this server alone | A-AUTHN-9 | `WrongAudience` | 401 `invalid_client` |
//! | assertion: it is valid now, and for an hour at most | A-AUTHN-9 | `OutsideLifetime` | 401 `invalid_client` |
//! | assertion: its `jti` has 1 to 256 bytes | A-AUTHN-9 | `MalformedAssertion` | 401 `invalid_client` |
//! | assertion: it is used for the first time | A-AUTHN-9 | `Replayed` | 401 `invalid_client` |

use http::HeaderMap;
use http::header::AUTHORIZATION;
#[cfg(feature = "jwt")]
use oauth_types::ClientAssertionType;
use oauth_types::{AuthMethod, ClientId, FormPairs, Repeated, Secret, SecretDigest, UnixTime};

use crate::authenticated::Authenticated;
use crate::basic::{BasicCredentials, InvalidBasic};
use crate::client_auth_record::ClientAuthRecord;
use crate::credential::Proof;
use crate::error::{ClientAuthError, Reason};
use crate::keys::VerifyingKeys;
use crate::replay::FirstUse;
use crate::secret_verifier::{HashCheck, SecretCheck, SecretVerifier};

/// Outcome of [`Presented::verify`] (RFC 6749 §2.3, RFC 7523 §3).
#[derive(Debug)]
#[must_use = "nobody is authenticated before the replay check"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Verified {
    /// The client is authenticated.
    Done(Authenticated),
    /// The client is authenticated if its assertion is used for the first time; only for `private_key_jwt`.
    FirstUse(FirstUse<Authenticated>),
}

/// Credentials of a request: one client identifier and at most one proof (RFC 6749 §2.3).
///
/// # Examples
///
/// ```
/// use client_auth::{Presented, Reason, ClientAuthRecord, Verified};
/// use http::HeaderMap;
/// use oauth_types::{AuthMethod, FormPairs, Secret, UnixTime};
///
/// let record = ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret(Secret::new("s3cret").digest());
/// let (headers, now) = (HeaderMap::new(), UnixTime::from_secs(1_800_000_000));
///
/// let form = FormPairs::parse(b"client_id=c1&client_secret=s3cret")?;
/// let presented = Presented::parse(&headers, &form)?;
/// let Verified::Done(client) = presented.clone().verify(Some(&record), &[], now)? else {
///     panic!("only assertions need a replay check");
/// };
/// assert_eq!(client.client_id().as_str(), "c1");
///
/// // An unknown client is refused in the same time and with the same reply as a wrong secret.
/// let error = presented.verify(None, &[], now).unwrap_err();
/// assert_eq!(error.reason(), Reason::UnknownClient);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "client_secret_basic")]
#[doc(alias = "client_secret_post")]
#[doc(alias = "private_key_jwt")]
#[derive(Clone, Debug)]
#[must_use = "nobody is authenticated until `verify` says so"]
pub struct Presented {
    client_id: ClientId,
    proof: Proof,
    /// Digest of the presented secret; `None` if there is none or it is empty.
    digest: Option<SecretDigest>,
    /// Outcome of the host's verifier, if it was used.
    hash_check: Option<HashCheck>,
}

/// Stand-in for an absent digest, which is the digest of no known text.
const NO_SECRET: SecretDigest = SecretDigest::from_bytes([0; 32]);

impl Presented {
    /// Parses the client authentication of a request: the `Authorization` header and the form body.
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`] when credentials are malformed or repeated, or use more than one method.
    pub fn parse(headers: &HeaderMap, form: &FormPairs<'_>) -> Result<Self, ClientAuthError> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let header = lines.next();
        let fail = ClientAuthError::new;
        if lines.next().is_some() {
            return Err(fail(Reason::RepeatedHeader));
        }
        let repeated = |_: Repeated| fail(Reason::RepeatedParameter);
        let body_id = form.value("client_id").map_err(repeated)?;
        let body_secret = form.value("client_secret").map_err(repeated)?;
        let assertion = form.value("client_assertion").map_err(repeated)?;
        let basic = match header.map(BasicCredentials::decode) {
            Some(Err(InvalidBasic::TooLong)) => return Err(fail(Reason::HeaderTooLong)),
            Some(Err(InvalidBasic::OtherScheme)) => return Err(fail(Reason::UnknownScheme)),
            other => other,
        };
        // A-AUTHN-3
        let methods = [basic.is_some(), body_secret.is_some(), assertion.is_some()];
        if methods.into_iter().filter(|used| *used).count() > 1 {
            return Err(fail(Reason::SeveralMethods));
        }
        if let Some(assertion) = assertion {
            let kind = form.value("client_assertion_type").map_err(repeated)?;
            return Self::from_assertion(kind, assertion, body_id).map_err(fail);
        }
        if let Some(basic) = basic {
            let malformed = || fail(Reason::MalformedHeader);
            let basic = basic.map_err(|_| malformed())?;
            let client_id = ClientId::parse(basic.client_id()).map_err(|_| malformed())?;
            // A-AUTHN-2
            if body_id.is_some_and(|id| id != client_id.as_str()) {
                return Err(fail(Reason::IdentifierMismatch));
            }
            return Ok(Self::new(client_id, Proof::Header(basic)));
        }
        let client_id =
            body_id.and_then(|id| ClientId::parse(id).ok()).ok_or(fail(Reason::NoIdentifier))?;
        let proof = body_secret.map_or(Proof::Nothing, |secret| Proof::Body(Secret::new(secret)));
        Ok(Self::new(client_id, proof))
    }

    fn new(client_id: ClientId, proof: Proof) -> Self {
        let digest = proof.secret().map(SecretDigest::of);
        Self { client_id, proof, digest, hash_check: None }
    }

    #[cfg(feature = "jwt")]
    fn from_assertion(
        kind: Option<&str>,
        assertion: &str,
        body_id: Option<&str>,
    ) -> Result<Self, Reason> {
        if kind.map(ClientAssertionType::parse) != Some(ClientAssertionType::JwtBearer) {
            return Err(Reason::AssertionNotSupported);
        }
        let client_id =
            crate::assertion::claimed_client(assertion).ok_or(Reason::MalformedAssertion)?;
        // RFC 7521 §4.2: the identifier is optional, but must be the same.
        if body_id.is_some_and(|id| id != client_id.as_str()) {
            return Err(Reason::IdentifierMismatch);
        }
        Ok(Self::new(client_id, Proof::Assertion(Secret::new(assertion))))
    }

    #[cfg(not(feature = "jwt"))]
    const fn from_assertion(_: Option<&str>, _: &str, _: Option<&str>) -> Result<Self, Reason> {
        Err(Reason::AssertionNotSupported)
    }

    /// Returns the client to look up; not authenticated yet.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns `true` if a secret or an assertion is presented, which could be a guess.
    ///
    /// It is `false` for a public client (RFC 6749 §2.1).
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.is_assertion() || self.digest.is_some()
    }

    /// Returns the presented secret; `None` if it is empty.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.proof.secret()
    }

    fn is_digest_right(&self, record: &ClientAuthRecord) -> bool {
        let (stored, presented) = (record.secret, self.digest);
        // An empty secret is refused even if a host stored the digest of one.
        stored.unwrap_or(NO_SECRET).equals(&presented.unwrap_or(NO_SECRET)) && presented.is_some()
    }

    /// Returns `true` if a secret is presented that does not authenticate the client without a hash.
    pub(crate) fn needs_hash_check(
        &self,
        registered: Option<&ClientAuthRecord>,
        now: UnixTime,
    ) -> bool {
        let nobody = ClientAuthRecord::new(self.method()).with_secret(NO_SECRET);
        let record = registered.unwrap_or(&nobody);
        let is_digest_right = self.is_digest_right(record);
        let is_accepted = match record.method {
            AuthMethod::None => matches!(self.proof, Proof::Nothing | Proof::Body(_)),
            _ => {
                is_digest_right
                    && record.secret_hash.is_none()
                    && record.method == self.method()
                    && !record.secret_has_expired(now)
            }
        };
        self.digest.is_some() && !is_accepted
    }

    pub(crate) fn with_hash_check(self, check: HashCheck) -> Self {
        Self { hash_check: Some(check), ..self }
    }

    /// Returns `true` if a signed assertion is presented (RFC 7523 §2.2).
    #[must_use]
    pub fn is_assertion(&self) -> bool {
        matches!(self.method(), AuthMethod::PrivateKeyJwt)
    }

    /// Returns `true` if these keys have the one that the header of the presented assertion names.
    ///
    /// The header is not verified: use the result only to decide if a key set is out of date.
    #[must_use]
    pub fn names_key_of(&self, keys: &VerifyingKeys) -> bool {
        #[cfg(feature = "jwt")]
        if let Proof::Assertion(assertion) = &self.proof {
            return crate::jws::named_key(assertion.expose(), keys).is_some();
        }
        let _ = keys;
        false
    }

    /// Prepares the verification of the presented secret against the record's hash, or else a decoy.
    ///
    /// It is for async programs, which run the [`SecretCheck`] on a thread for blocking work and then call
    /// [`verify`](Self::verify); others call [`verify_with`](Self::verify_with).
    pub fn secret_check(self, registered: Option<&ClientAuthRecord>, now: UnixTime) -> SecretCheck {
        SecretCheck::new(self, registered, now)
    }

    /// Verifies the credentials as [`verify`](Self::verify) does, with secrets that are stored as password hashes.
    ///
    /// The verifier is used exactly once for each presented secret, of a known client or not, unless the digest in the
    /// record already accepts it. It takes tens of milliseconds: limit the peer's attempts before, and do not call this
    /// on a thread of an async runtime ([`secret_check`](Self::secret_check)).
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`] when a check fails; its reply does not tell which, unless the
    /// [host is at fault](ClientAuthError::is_failure).
    pub fn verify_with(
        self,
        verifier: &dyn SecretVerifier,
        registered: Option<&ClientAuthRecord>,
        audience: &[&str],
        now: UnixTime,
    ) -> Result<Verified, ClientAuthError> {
        self.secret_check(registered, now).run(verifier).verify(registered, audience, now)
    }

    /// Verifies the credentials against the client's record, or `None` for an unknown client.
    ///
    /// An unknown client costs the same work and yields the same reply as a wrong secret or signature. `audience`
    /// lists what an assertion may be addressed to: the issuer and, for older clients, the URL of the token endpoint.
    /// It is empty if assertions are not accepted.
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`] when a check fails; its reply does not tell which. A record with a hash in place of a digest
    /// is [`Reason::NoSecretVerifier`], unless a [`SecretCheck`] was run.
    pub fn verify(
        self,
        registered: Option<&ClientAuthRecord>,
        audience: &[&str],
        now: UnixTime,
    ) -> Result<Verified, ClientAuthError> {
        match self.check(registered, audience, now) {
            Ok(verified) => Ok(verified),
            Err(reason) => Err(ClientAuthError::new(reason)),
        }
    }

    fn check(
        self,
        registered: Option<&ClientAuthRecord>,
        audience: &[&str],
        now: UnixTime,
    ) -> Result<Verified, Reason> {
        // A fault of the host is never blamed on the client, known or not.
        if self.hash_check.as_ref().is_some_and(HashCheck::is_invalid) {
            return Err(Reason::InvalidSecretHash);
        }
        // A-AUTHN-5: an unknown client is replaced by a record with the presented method and a secret that no text
        // equals. The same checks run, and their outcome is not used.
        let nobody = ClientAuthRecord::new(self.method()).with_secret(NO_SECRET);
        let verified = self.check_against(registered.unwrap_or(&nobody), audience, now);
        if registered.is_some() { verified } else { Err(Reason::UnknownClient) }
    }

    const fn method(&self) -> AuthMethod {
        self.proof.method()
    }

    /// Out of line, so that both paths through `check` run the same instructions.
    #[inline(never)]
    fn check_against(
        self,
        record: &ClientAuthRecord,
        #[cfg_attr(not(feature = "jwt"), expect(unused_variables, reason = "for assertions"))]
        audience: &[&str],
        now: UnixTime,
    ) -> Result<Verified, Reason> {
        let presented = self.method();
        // Digests are compared and signatures verified whatever else is wrong.
        let is_digest_right = self.is_digest_right(record);
        #[cfg(feature = "jwt")]
        let asserted = match &self.proof {
            Proof::Assertion(assertion) => {
                let (id, keys) = (&self.client_id, record.keys.as_ref());
                Some(crate::assertion::verify(assertion.expose(), id, keys, audience, now))
            }
            _ => None,
        };

        let method = record.method.clone();
        match &method {
            // A-AUTHN-7: a secret in the body of a public client is ignored.
            AuthMethod::None
                if matches!(presented, AuthMethod::None | AuthMethod::ClientSecretPost) => {}
            // A-AUTHN-4
            _ if method != presented => return Err(Reason::WrongMethod),
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {
                // A-AUTHN-8
                if record.secret.is_none() && record.secret_hash.is_none() {
                    return Err(Reason::NoStoredSecret);
                }
                if record.secret_has_expired(now) {
                    return Err(Reason::ExpiredSecret);
                }
                let is_right = match &record.secret_hash {
                    Some(hash) if self.digest.is_some() => {
                        let check = self.hash_check.as_ref();
                        let outcome = check.and_then(|check| check.outcome_for(hash));
                        outcome.ok_or(Reason::NoSecretVerifier)?
                    }
                    Some(_) => false,
                    None => is_digest_right,
                };
                if !is_right {
                    return Err(Reason::WrongSecret);
                }
            }
            #[cfg(feature = "jwt")]
            AuthMethod::PrivateKeyJwt => {
                // A-AUTHN-8
                if record.keys.is_none() {
                    return Err(Reason::NoStoredKeys);
                }
                let unused = asserted.ok_or(Reason::WrongMethod)??;
                let client = Authenticated::new(self.client_id, method);
                let (key, until) = (*unused.key(), unused.until());
                return Ok(Verified::FirstUse(FirstUse::new(client, key, until)));
            }
            _ => return Err(Reason::WrongMethod),
        }
        Ok(Verified::Done(Authenticated::new(self.client_id, method)))
    }
}
