//! Server side of client authentication (RFC 6749 §2.3).
//!
//! A server parses the request, looks the client up, and verifies once:
//!
//! | check, in this order | requirement | reason | answer |
//! |---|---|---|---|
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
//! | secret: one is stored | A-AUTHN-8 | `NoStoredSecret` | 401 `invalid_client` |
//! | secret: it has not expired | A-AUTHN-6 | `ExpiredSecret` | 401 `invalid_client` |
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
#[cfg(feature = "jwt")]
use oauth_types::Secret;
use oauth_types::{AuthMethod, ClientId, FormPairs, Repeated, SecretDigest, UnixTime};

use crate::basic::{BasicCredentials, InvalidBasic};
use crate::client_auth_record::ClientAuthRecord;
use crate::error::{ClientAuthError, Reason};
use crate::keys::VerifyingKeys;
use crate::replay::FirstUse;

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
}

#[derive(Clone, Debug)]
enum Proof {
    Nothing,
    Header(PresentedSecret),
    Body(PresentedSecret),
    #[cfg(feature = "jwt")]
    Assertion(Secret),
}

/// Digest of a presented secret; `None` if it is empty.
type PresentedSecret = Option<SecretDigest>;

/// Stand-in for an absent digest, which is the digest of no known text.
const NO_SECRET: SecretDigest = SecretDigest::from_bytes([0; 32]);

fn shown(secret: &str) -> PresentedSecret {
    (!secret.is_empty()).then(|| SecretDigest::of(secret))
}

/// Authenticated client (RFC 6749 §2.3); only [`Presented::verify`] yields one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    client_id: ClientId,
    method: AuthMethod,
}

impl Authenticated {
    /// Returns the client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Returns the method with which the client authenticated.
    #[must_use]
    pub const fn method(&self) -> &AuthMethod {
        &self.method
    }

    /// Returns `true` if the client proved that it holds a secret or a private key (RFC 6749 §2.1).
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.method != AuthMethod::None
    }
}

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
            return Ok(Self { client_id, proof: Proof::Header(shown(basic.secret())) });
        }
        let client_id =
            body_id.and_then(|id| ClientId::parse(id).ok()).ok_or(fail(Reason::NoIdentifier))?;
        let proof = body_secret.map_or(Proof::Nothing, |secret| Proof::Body(shown(secret)));
        Ok(Self { client_id, proof })
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
        Ok(Self { client_id, proof: Proof::Assertion(Secret::new(assertion)) })
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
    pub const fn has_credentials(&self) -> bool {
        !matches!(self.proof, Proof::Nothing | Proof::Header(None) | Proof::Body(None))
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

    /// Verifies the credentials against the client's record, or `None` for an unknown client.
    ///
    /// An unknown client costs the same work and yields the same reply as a wrong secret or signature. `audience`
    /// lists what an assertion may be addressed to: the issuer and, for older clients, the URL of the token endpoint.
    /// It is empty if assertions are not accepted.
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`] when a check fails; its reply does not tell which.
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
        // A-AUTHN-5: an unknown client is replaced by a record with the presented method and a secret that no text
        // equals. The same checks run, and their outcome is not used.
        let nobody = ClientAuthRecord::new(self.method()).with_secret(NO_SECRET);
        let verified = self.check_against(registered.unwrap_or(&nobody), audience, now);
        if registered.is_some() { verified } else { Err(Reason::UnknownClient) }
    }

    const fn method(&self) -> AuthMethod {
        match self.proof {
            Proof::Nothing => AuthMethod::None,
            Proof::Header(_) => AuthMethod::ClientSecretBasic,
            Proof::Body(_) => AuthMethod::ClientSecretPost,
            #[cfg(feature = "jwt")]
            Proof::Assertion(_) => AuthMethod::PrivateKeyJwt,
        }
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
        let shown = match self.proof {
            Proof::Header(shown) | Proof::Body(shown) => shown,
            _ => None,
        };
        // An empty secret is refused even if a host stored the digest of one.
        let is_right = record.secret.unwrap_or(NO_SECRET).equals(&shown.unwrap_or(NO_SECRET))
            && shown.is_some();
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
                if record.secret.is_none() {
                    return Err(Reason::NoStoredSecret);
                }
                // A-AUTHN-6
                if record.secret_expires_at.is_some_and(|end| now >= end) {
                    return Err(Reason::ExpiredSecret);
                }
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
                let client = Authenticated { client_id: self.client_id, method };
                let (key, until) = (*unused.key(), unused.until());
                return Ok(Verified::FirstUse(FirstUse::new(client, key, until)));
            }
            _ => return Err(Reason::WrongMethod),
        }
        Ok(Verified::Done(Authenticated { client_id: self.client_id, method }))
    }
}
