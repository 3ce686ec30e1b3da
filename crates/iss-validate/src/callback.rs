//! Client side of issuer identification (RFC 9207 §2.4): callbacks and their validation.
//!
//! A callback cannot be read before it is validated:
//!
//! | check, in this order | requirement | rejection |
//! |---|---|---|
//! | the query is well formed and bounded | | `Malformed` |
//! | `iss`, `state`, `code`, `error` appear at most once | C-ISS-7 | `Repeated` |
//! | `iss` present: identical to the recorded issuer | C-ISS-1, C-ISS-4 | `IssuerNotRecorded`, `IssuerMismatch` |
//! | `iss` absent: the server does not advertise it | C-ISS-2, C-ISS-3 | `IssuerMissing` |
//! | `state` equals the recorded one | C-AUTHZ-5 | `StateMismatch` |
//! | exactly one of `code` and `error` is present | | `Contradiction` |

use core::fmt;

use oauth_types::{
    AuthorizationErrorCode, ErrorDescription, FormPairs, Issuer, Repeated, Secret, SecretDigest,
    State,
};

use crate::rejected::{CallbackRejected, Rejection};

/// Record of an authorization request, made before the browser is redirected.
///
/// # Examples
///
/// ```
/// use iss_validate::Expected;
/// use oauth_types::{Entropy, Issuer, State};
///
/// // The state goes into the authorization request; the record is kept until the callback.
/// let state = State::new(Entropy::new([7; 32]));
/// let expected = Expected::new(Issuer::parse("https://as.example")?, state).with_iss_advertised(true);
/// assert!(expected.issuer.is_some_and(|issuer| issuer.is("https://as.example")));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expected {
    /// Issuer of the validated metadata that named the authorization endpoint.
    ///
    /// It is `None` where no metadata did, as with legacy discovery (MCP 2025-03-26).
    pub issuer: Option<Issuer>,
    /// `true` if that metadata advertises `iss` on every response (RFC 9207 §3).
    pub iss_advertised: bool,
    /// The `state` of the request (RFC 6749 §4.1.1).
    pub state: State,
}

impl Expected {
    /// Creates the record of a request with this `state` to the server of this issuer.
    ///
    /// `issuer` is `None` where no metadata named the authorization endpoint.
    #[must_use]
    pub fn new(issuer: impl Into<Option<Issuer>>, state: State) -> Self {
        Self { issuer: issuer.into(), iss_advertised: false, state }
    }

    /// Sets the metadata's `authorization_response_iss_parameter_supported` (RFC 9207 §3).
    ///
    /// If a `true` is omitted, responses without `iss` are accepted, which permits the mix-up attack that the
    /// parameter prevents.
    #[must_use]
    pub const fn with_iss_advertised(mut self, iss_advertised: bool) -> Self {
        self.iss_advertised = iss_advertised;
        self
    }
}

/// Authorization response as received (RFC 6749 §4.1.2).
///
/// Only [`validate`](Self::validate) makes its content readable.
///
/// # Examples
///
/// ```
/// use iss_validate::{Callback, Expected, Rejection, Validated};
/// use oauth_types::{Issuer, Secret, State};
///
/// let issuer = Issuer::parse("https://as.example")?;
/// let expected = Expected::new(issuer, State::from_secret(Secret::new("af0ifjsldkj")));
///
/// let query = "?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj&iss=https%3A%2F%2Fas.example";
/// let Validated::Code(code) = Callback::from_query(query).validate(&expected)? else {
///     panic!("the server refused the request");
/// };
/// assert!(code.as_secret().matches("SplxlOBeZQQYbYS6WxSbIA"));
///
/// // A mix-up: the response comes from another authorization server.
/// let query = "?code=x&state=af0ifjsldkj&iss=https%3A%2F%2Fevil.example";
/// let rejected = Callback::from_query(query).validate(&expected).unwrap_err();
/// assert_eq!(rejected.rejection(), Rejection::IssuerMismatch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "authorization response")]
#[must_use = "a callback says nothing until it is validated"]
pub struct Callback<'a> {
    form: Option<FormPairs<'a>>,
}

impl<'a> Callback<'a> {
    /// Creates a callback from a raw query, with or without its question mark.
    pub fn from_query(query: &'a str) -> Self {
        // C-ISS-8
        let query = query.strip_prefix('?').unwrap_or(query);
        Self { form: FormPairs::parse(query.as_bytes()).ok() }
    }

    /// Creates a callback from a full URL, or a path with a query; a fragment is ignored.
    pub fn from_url(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        Self::from_query(url.split_once('?').map_or("", |(_, query)| query))
    }

    /// Creates a callback from pairs that a web framework has decoded, repeated ones included.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { form: FormPairs::from_pairs(pairs).ok() }
    }

    /// Returns the digest of `state`; `None` when there is not exactly one.
    ///
    /// A host with several logins files each under this digest. Nothing else of the callback is revealed.
    #[must_use]
    pub fn state_digest(&self) -> Option<SecretDigest> {
        let state = self.form.as_ref()?.single("state").ok()??;
        Some(SecretDigest::of(state))
    }

    /// Validates the callback against the recorded request and returns its code or error.
    ///
    /// # Errors
    ///
    /// [`CallbackRejected`] names the first rule that the callback breaks and contains nothing that it said.
    pub fn validate(self, expected: &Expected) -> Result<Validated, CallbackRejected> {
        let reject = |rejection| Err(CallbackRejected::new(rejection));
        let Some(form) = self.form else {
            return reject(Rejection::Malformed);
        };
        // C-ISS-7: all four are checked for repetition before any of them is used.
        let iss = single(&form, "iss")?;
        let state = single(&form, "state")?;
        let code = single(&form, "code")?.filter(|code| !code.is_empty());
        let error = single(&form, "error")?.filter(|error| !error.is_empty());

        match iss {
            // C-ISS-1, C-ISS-4: checked if present, even if empty or not advertised.
            Some(received) => match &expected.issuer {
                Some(recorded) if recorded.is(received) => {}
                // Refused, because there is no recorded issuer to compare it with.
                None => {
                    return Err(CallbackRejected::issuer(Rejection::IssuerNotRecorded, received));
                }
                Some(_) => {
                    return Err(CallbackRejected::issuer(Rejection::IssuerMismatch, received));
                }
            },
            // C-ISS-2
            None if expected.iss_advertised => return reject(Rejection::IssuerMissing),
            // C-ISS-3
            None => {}
        }
        // C-AUTHZ-5
        if !state.is_some_and(|state| expected.state.matches(state)) {
            return reject(Rejection::StateMismatch);
        }
        // C-ISS-6: the code or error is read only after validation.
        match (code, error) {
            (Some(code), None) => Ok(Validated::Code(ValidatedCode {
                code: Secret::new(code),
                issuer: expected.issuer.clone(),
            })),
            (None, Some(error)) => {
                let Some(code) = AuthorizationErrorCode::parse(error) else {
                    return reject(Rejection::Malformed);
                };
                let description = single(&form, "error_description")?;
                let description =
                    description.filter(|text| !text.is_empty()).map(ErrorDescription::new);
                Ok(Validated::Denied(AuthorizationError { code, description }))
            }
            _ => reject(Rejection::Contradiction),
        }
    }
}

fn single<'f>(
    form: &'f FormPairs<'_>,
    name: &'static str,
) -> Result<Option<&'f str>, CallbackRejected> {
    let repeated = |repeated: Repeated| CallbackRejected::new(Rejection::Repeated(repeated.name));
    form.single(name).map_err(repeated)
}

impl fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback([not validated])")
    }
}

/// Content of a validated callback.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a response is a code or an error (RFC 6749 §4.1.2)")]
pub enum Validated {
    /// The resource owner granted the request.
    Code(ValidatedCode),
    /// The authorization server refused the request.
    Denied(AuthorizationError),
}

/// Authorization code with the issuer that it came from; only a validated callback yields one.
///
/// It may be sent only to the token endpoint of that issuer.
#[derive(Clone, Debug)]
pub struct ValidatedCode {
    code: Secret,
    issuer: Option<Issuer>,
}

impl ValidatedCode {
    /// Returns the code.
    #[must_use]
    pub const fn as_secret(&self) -> &Secret {
        &self.code
    }

    /// Returns the issuer that may receive the code; `None` where no issuer was recorded.
    #[must_use]
    pub const fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }
}

/// Error response of the expected authorization server (RFC 6749 §4.1.2.1), safe to display.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AuthorizationError {
    /// Error code.
    pub code: AuthorizationErrorCode,
    /// Description for the developer, without control characters.
    pub description: Option<ErrorDescription>,
}

/// Shows the response, and what its code asks for.
impl fmt::Display for AuthorizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the authorization server answered {}", self.code)?;
        if let Some(description) = &self.description {
            write!(f, " ({description})")?;
        }
        f.write_str(match &self.code {
            AuthorizationErrorCode::AccessDenied
            | AuthorizationErrorCode::LoginRequired
            | AuthorizationErrorCode::ConsentRequired => ": the user has to log in and agree",
            AuthorizationErrorCode::InvalidScope => ": request scopes that the server grants",
            AuthorizationErrorCode::InvalidTarget => {
                ": check the address of the resource; if it is right, the server's operator has to \
                 issue tokens for it"
            }
            AuthorizationErrorCode::UnauthorizedClient
            | AuthorizationErrorCode::UnsupportedResponseType => {
                ": the server's operator has to allow this client to request codes"
            }
            AuthorizationErrorCode::ServerError
            | AuthorizationErrorCode::TemporarilyUnavailable => ": try again later",
            _ => ": ask the server's operator what that means",
        })
    }
}

impl core::error::Error for AuthorizationError {}
