//! Client side: a callback that cannot be read before it is validated.
//!
//! | check, in this order | requirement | rejection |
//! |---|---|---|
//! | the query is well formed and bounded | | `Malformed` |
//! | `iss`, `state`, `code`, `error` appear at most once | C-ISS-7 | `Repeated` |
//! | `iss` present: an issuer was recorded, and it is identical | C-ISS-1, C-ISS-4 | `IssuerNotRecorded`, `IssuerMismatch` |
//! | `iss` absent: the server does not advertise it | C-ISS-2, C-ISS-3 | `IssuerMissing` |
//! | `state` is the recorded one | C-AUTHZ-5 | `StateMismatch` |
//! | exactly one of `code` and `error` is there | | `Contradiction` |

use core::fmt;

use oauth_types::{
    AuthorizationErrorCode, ErrorDescription, FormPairs, Issuer, Repeated, Secret, SecretDigest,
    State,
};

use crate::rejected::{CallbackRejected, Rejection};

/// What was recorded before the browser was sent away.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Expected {
    /// The issuer of the validated metadata that named the authorization endpoint; `None` where no metadata
    /// did, as with servers of MCP 2025-03-26.
    pub issuer: Option<Issuer>,
    /// Whether that metadata promises `iss` on every response (RFC 9207 §3).
    pub iss_advertised: bool,
    /// The `state` that was sent.
    pub state: State,
}

impl Expected {
    /// A login with this `state` at the server of this issuer; `None` where no metadata named the authorization
    /// endpoint.
    #[must_use]
    pub fn new(issuer: impl Into<Option<Issuer>>, state: State) -> Self {
        Self { issuer: issuer.into(), iss_advertised: false, state }
    }

    /// Sets the metadata's `authorization_response_iss_parameter_supported` (RFC 9207 §3). Omitting a `true` admits
    /// responses without `iss`, which is the mix-up attack that the parameter ends.
    #[must_use]
    pub const fn with_iss_advertised(mut self, iss_advertised: bool) -> Self {
        self.iss_advertised = iss_advertised;
        self
    }
}

/// An authorization response as it came in. Nothing in it can be read: only
/// [`validate`](Self::validate) opens it.
#[must_use = "a callback says nothing until it is validated"]
pub struct Callback<'a> {
    form: Option<FormPairs<'a>>,
}

impl<'a> Callback<'a> {
    /// A raw query, with or without its question mark.
    pub fn from_query(query: &'a str) -> Self {
        // C-ISS-8
        let query = query.strip_prefix('?').unwrap_or(query);
        Self { form: FormPairs::parse(query.as_bytes()).ok() }
    }

    /// A full URL, or a path with a query; a fragment is ignored.
    pub fn from_url(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        Self::from_query(url.split_once('?').map_or("", |(_, query)| query))
    }

    /// Pairs that a web framework has decoded already, repeated ones included.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { form: FormPairs::from_pairs(pairs).ok() }
    }

    /// What a host that keeps several logins finds the right one by: the digest of `state`, which it filed the
    /// login under. It tells nothing else of the callback. `None` when there is not exactly one `state`.
    #[must_use]
    pub fn state_digest(&self) -> Option<SecretDigest> {
        let state = self.form.as_ref()?.single("state").ok()??;
        Some(SecretDigest::of(state))
    }

    /// Opens the callback if it answers the request that `expected` recorded.
    ///
    /// # Errors
    ///
    /// [`CallbackRejected`] names the first rule broken and nothing that the callback said.
    pub fn validate(self, expected: &Expected) -> Result<Validated, CallbackRejected> {
        let reject = |rejection| Err(CallbackRejected::new(rejection));
        let Some(form) = self.form else {
            return reject(Rejection::Malformed);
        };
        // C-ISS-7: all four before any of them counts.
        let iss = single(&form, "iss")?;
        let state = single(&form, "state")?;
        let code = single(&form, "code")?.filter(|code| !code.is_empty());
        let error = single(&form, "error")?.filter(|error| !error.is_empty());

        match iss {
            // C-ISS-1, C-ISS-4: whenever present, even empty, even unadvertised.
            Some(received) => match &expected.issuer {
                Some(recorded) if recorded.is(received) => {}
                // Nothing to compare with is no reason to believe it.
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
        // C-ISS-6: only now is there a code or an error.
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

/// A callback that answers our request.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a response is a code or an error (RFC 6749 §4.1.2)")]
pub enum Validated {
    /// The user agreed.
    Code(ValidatedCode),
    /// The server said no, and it is the right server that said so.
    Denied(AuthorizationError),
}

/// An authorization code, and the issuer that it came from: for that issuer's token endpoint and no
/// other. Only a validated callback makes one.
#[derive(Clone, Debug)]
pub struct ValidatedCode {
    code: Secret,
    issuer: Option<Issuer>,
}

impl ValidatedCode {
    /// The code.
    #[must_use]
    pub const fn as_secret(&self) -> &Secret {
        &self.code
    }

    /// Who may see it; `None` where no issuer was recorded.
    #[must_use]
    pub const fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }
}

/// An error that the asked authorization server sent (RFC 6749 §4.1.2.1), safe to show.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AuthorizationError {
    /// Which error.
    pub code: AuthorizationErrorCode,
    /// For the developer; cleaned.
    pub description: Option<ErrorDescription>,
}

impl fmt::Display for AuthorizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the authorization server answered {}", self.code)?;
        match &self.description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for AuthorizationError {}
