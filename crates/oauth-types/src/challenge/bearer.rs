//! The Bearer challenge (RFC 6750 §3, RFC 9728 §5.1), parsed and written by one type.

use core::fmt;
use core::str::FromStr;

use http::{HeaderMap, HeaderValue};

use crate::challenge::{
    Challenge, Challenges, ParamValue, Realm, is_token_char, split_challenge, trim_start_list,
};
use crate::error_code::BearerErrorCode;
use crate::method::SigningAlgorithm;
use crate::scope::ScopeSet;
use crate::text::ErrorDescription;
use crate::uri::EndpointUrl;

/// The reason why a text is not a [`BearerChallenge`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidChallenge {
    /// Is not one challenge, and nothing else, in the grammar of RFC 9110 §11.3.
    Malformed,
    /// Has another scheme than `Bearer`.
    OtherScheme,
    /// Has a parameter twice.
    RepeatedParameter,
}

impl fmt::Display for InvalidChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "the text is not one challenge in the grammar of RFC 9110 §11.3; write one, as in \
                 `Bearer scope=\"read\"`"
            }
            Self::OtherScheme => {
                "the scheme of the challenge is not Bearer; write a `Bearer` challenge"
            }
            Self::RepeatedParameter => {
                "the challenge has a parameter twice; write each parameter once"
            }
        })
    }
}

impl core::error::Error for InvalidChallenge {}

/// Bearer or DPoP challenge of a resource server, sent with a 401 or 403 (RFC 6750 §3, RFC 9728 §5.1).
///
/// No member can break out of its quoted string, because its type excludes quotes and control characters. Writing a
/// challenge therefore always gives one well-formed line. `Display` writes the text of that line, and `FromStr` reads
/// it; [`from_headers`](Self::from_headers) reads the headers of a response, in which other challenges may stand too.
///
/// # Examples
///
/// ```
/// use oauth_types::{BearerChallenge, BearerErrorCode, ScopeSet};
///
/// let challenge = BearerChallenge::new()
///     .with_error(BearerErrorCode::InsufficientScope)
///     .with_scope(ScopeSet::parse("files:read files:write")?);
/// assert_eq!(
///     challenge.to_header_value(),
///     "Bearer error=\"insufficient_scope\", scope=\"files:read files:write\"",
/// );
/// assert_eq!(challenge.to_string().parse(), Ok(challenge));
/// # Ok::<(), oauth_types::InvalidScope>(())
/// ```
#[doc(alias = "WWW-Authenticate")]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BearerChallenge {
    /// Error code; absent if the request had no token (RFC 6750 §3.1).
    pub error: Option<BearerErrorCode>,
    /// Explanation for developers, never for decisions.
    pub error_description: Option<ErrorDescription>,
    /// All scopes that the request needs; ignored when parsed if malformed or empty.
    pub scope: Option<ScopeSet>,
    /// URL of the protected resource metadata; ignored when parsed if it is not an https URL.
    pub resource_metadata: Option<EndpointUrl>,
    /// Protection space (RFC 9110 §11.5), for display only; ignored when parsed if it needs escapes or is repeated.
    pub realm: Option<Realm>,
}

impl BearerChallenge {
    /// Creates a challenge without parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            error: None,
            error_description: None,
            scope: None,
            resource_metadata: None,
            realm: None,
        }
    }

    /// Sets the error; leave it unset for a request without a token (RFC 6750 §3.1).
    #[must_use]
    pub fn with_error(mut self, error: impl Into<Option<BearerErrorCode>>) -> Self {
        self.error = error.into();
        self
    }

    /// Sets the description for developers.
    #[must_use]
    pub fn with_error_description(
        mut self,
        description: impl Into<Option<ErrorDescription>>,
    ) -> Self {
        self.error_description = description.into();
        self
    }

    /// Sets the scopes that the request needs, all of them.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<Option<ScopeSet>>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Sets the URL of the protected resource metadata (RFC 9728 §5.1).
    #[must_use]
    pub fn with_resource_metadata(mut self, url: impl Into<Option<EndpointUrl>>) -> Self {
        self.resource_metadata = url.into();
        self
    }

    /// Sets the protection space (RFC 9110 §11.5).
    #[must_use]
    pub fn with_realm(mut self, realm: impl Into<Option<Realm>>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Finds the first well-formed Bearer challenge with any known parameter but `realm`, among all header lines.
    ///
    /// A challenge that repeats one of these parameters is ambiguous and is passed over.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Self::find_scheme("Bearer", headers)
    }

    /// Finds the first well-formed DPoP challenge with any known parameter (RFC 9449 §7.1).
    ///
    /// The parameters are those of a Bearer challenge.
    #[must_use]
    pub fn from_dpop_headers(headers: &HeaderMap) -> Option<Self> {
        Self::find_scheme("DPoP", headers)
    }

    fn find_scheme(scheme: &str, headers: &HeaderMap) -> Option<Self> {
        Challenges::new(headers)
            .flatten()
            .filter(|challenge| challenge.is(scheme))
            .filter_map(|challenge| Self::read(&challenge))
            // A realm tells a client nothing that it could act on.
            .find(|found| Self { realm: found.realm.clone(), ..Self::default() } != *found)
    }

    fn read(challenge: &Challenge<'_>) -> Option<Self> {
        let [mut error, mut error_description, mut scope, mut resource_metadata] = [None; 4];
        for (name, value) in challenge.params() {
            let slot = match name {
                _ if name.eq_ignore_ascii_case("error") => &mut error,
                _ if name.eq_ignore_ascii_case("error_description") => &mut error_description,
                _ if name.eq_ignore_ascii_case("scope") => &mut scope,
                _ if name.eq_ignore_ascii_case("resource_metadata") => &mut resource_metadata,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        // Nothing is decided by it, so a repeated one is left out, and the challenge stands.
        let mut realms = challenge.params().filter(|(name, _)| name.eq_ignore_ascii_case("realm"));
        let realm = realms.next().filter(|_| realms.next().is_none()).map(|(_, value)| value);
        Some(Self {
            error: error
                .and_then(ParamValue::to_text)
                .and_then(|text| BearerErrorCode::parse(&text)),
            error_description: error_description
                .and_then(ParamValue::to_text)
                .map(|text| ErrorDescription::new(&text))
                .filter(|description| !description.as_str().is_empty()),
            // C-SCOPE-2: scopes are taken exactly as received; a malformed list is ignored as a whole.
            scope: scope
                .and_then(ParamValue::to_text)
                .and_then(|text| ScopeSet::parse(&text).ok())
                .filter(|scope| !scope.is_empty()),
            resource_metadata: resource_metadata
                .and_then(ParamValue::to_text)
                .and_then(|text| EndpointUrl::parse(&text).ok()),
            realm: realm.and_then(ParamValue::to_text).and_then(|text| Realm::parse(&text).ok()),
        })
    }

    /// Returns the header value: one line of visible ASCII, whatever the members hold.
    #[must_use]
    pub fn to_header_value(&self) -> HeaderValue {
        self.line("Bearer", "")
    }

    /// Returns the header value of a DPoP challenge with the same parameters (RFC 9449 §7.1).
    ///
    /// `algorithms` are those in which a proof may be signed; names that are not tokens are left out.
    #[must_use]
    pub fn to_dpop_header_value(&self, algorithms: &[SigningAlgorithm]) -> HeaderValue {
        let names = algorithms.iter().map(SigningAlgorithm::as_str);
        let is_token = |name: &&str| !name.is_empty() && name.bytes().all(is_token_char);
        let names: Vec<_> = names.filter(is_token).collect();
        self.line("DPoP", &names.join(" "))
    }

    #[expect(clippy::expect_used, reason = "the types of the members exclude control characters")]
    fn line(&self, scheme: &str, algorithms: &str) -> HeaderValue {
        HeaderValue::try_from(self.text(scheme, algorithms)).expect("visible ASCII and spaces")
    }

    fn text(&self, scheme: &str, algorithms: &str) -> String {
        // R-AUTH-6: the type of each member excludes quotes, backslashes and control characters.
        let mut line = String::from(scheme);
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let separator = if line.len() == scheme.len() { " " } else { ", " };
                line.extend([separator, name, "=\"", value, "\""]);
            }
        };
        // Many clients search the line for `name=` and take the first match, even inside a value. A value that may
        // contain text of the request, or any text of the host, therefore follows those that cannot.
        add("error", self.error.as_ref().map(BearerErrorCode::as_str));
        add("resource_metadata", self.resource_metadata.as_ref().map(EndpointUrl::as_str));
        add("algs", Some(algorithms));
        add("scope", self.scope.as_ref().map(ScopeSet::as_str));
        add("realm", self.realm.as_ref().map(Realm::as_str));
        add("error_description", self.error_description.as_ref().map(ErrorDescription::as_str));
        line
    }
}

/// Writes the text of [`to_header_value`](BearerChallenge::to_header_value).
impl fmt::Display for BearerChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text("Bearer", ""))
    }
}

/// Reads a text that is one Bearer challenge; malformed members are ignored, as by
/// [`find`](BearerChallenge::from_headers).
impl FromStr for BearerChallenge {
    type Err = InvalidChallenge;

    fn from_str(text: &str) -> Result<Self, InvalidChallenge> {
        let (challenge, rest) = split_challenge(trim_start_list(text.as_bytes()));
        let is_whole = trim_start_list(rest).is_empty();
        let challenge = challenge.filter(|_| is_whole).ok_or(InvalidChallenge::Malformed)?;
        if !challenge.is("Bearer") {
            return Err(InvalidChallenge::OtherScheme);
        }
        Self::read(&challenge).ok_or(InvalidChallenge::RepeatedParameter)
    }
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn find(line: &str) -> Option<BearerChallenge> {
        let value = HeaderValue::from_str(line).unwrap();
        BearerChallenge::from_headers(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]))
    }

    #[test]
    fn what_is_written_reads_back() {
        let challenge = BearerChallenge {
            error: BearerErrorCode::parse("invalid_token"),
            error_description: Some(ErrorDescription::new("expired, \"really\"")),
            scope: ScopeSet::parse("a b").ok(),
            resource_metadata: EndpointUrl::parse("https://rs.example/prm").ok(),
            realm: Realm::parse("a, b").ok(),
        };
        let line = challenge.to_header_value();
        assert_eq!(find(line.to_str().unwrap()), Some(challenge.clone()));
        let algorithms = [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
        let line = challenge.to_dpop_header_value(&algorithms);
        assert!(line.to_str().unwrap().contains(", algs=\"ES256 EdDSA\", "), "{line:?}");
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, line)]);
        assert_eq!(BearerChallenge::from_dpop_headers(&headers), Some(challenge));
        assert_eq!(BearerChallenge::from_headers(&headers), None);
    }

    proptest! {
        #[test]
        fn a_challenge_is_read_from_its_own_text(
            error in option::of("[!#-~&&[^\\\\]]{1,64}"),
            description in option::of("[ -~]{1,60}"),
            scope in option::of("[a-c:]{1,4}( [d-f]{1,3}){0,3}"),
            path in option::of("[a-z]{0,9}"),
            realm in option::of("[ !#-~&&[^\\\\]]{1,60}"),
        ) {
            let description = description.map(|text| ErrorDescription::new(&text));
            let challenge = BearerChallenge {
                error: error.and_then(|code| BearerErrorCode::parse(&code)),
                error_description: description.filter(|text| !text.as_str().is_empty()),
                scope: scope.and_then(|scope| ScopeSet::parse(&scope).ok()),
                resource_metadata: path
                    .and_then(|path| EndpointUrl::parse(&format!("https://rs.example/{path}")).ok()),
                realm: realm.map(|realm| Realm::parse(&realm).unwrap()),
            };
            let text = challenge.to_string();
            let line = challenge.to_header_value();
            prop_assert_eq!(&text, line.to_str().unwrap());
            prop_assert_eq!(text.parse::<BearerChallenge>(), Ok(challenge));
        }

        #[test]
        fn what_is_read_from_any_text_reads_back(text in "(Bearer )?[ -~\u{e9}\n]{0,60}") {
            if let Ok(challenge) = text.parse::<BearerChallenge>() {
                prop_assert_eq!(challenge.to_string().parse(), Ok(challenge));
            }
        }
    }

    #[test]
    fn a_text_is_one_bearer_challenge_or_refused() {
        let read = |text: &str| text.parse::<BearerChallenge>();
        assert_eq!(read("bearer"), Ok(BearerChallenge::new()));
        assert_eq!(read("Bearer realm=\"a\\\"b\"").unwrap().realm, None);
        for two in ["", "Bearer scope=\"a\", Basic realm=\"x\"", "Bearer, Bearer", "Bearer x y"] {
            assert_eq!(read(two), Err(InvalidChallenge::Malformed), "{two}");
        }
        assert_eq!(read("Basic realm=\"x\""), Err(InvalidChallenge::OtherScheme));
        let twice = "Bearer scope=\"x\", Scope=\"x\"";
        assert_eq!(read(twice), Err(InvalidChallenge::RepeatedParameter));
    }

    #[test]
    fn a_realm_alone_is_passed_over() {
        assert_eq!(find("Bearer realm=\"x\""), None);
        let found = find("Bearer realm=\"x\", Bearer realm=\"y\", scope=\"a\"").unwrap();
        assert_eq!(found.realm.as_ref().map(Realm::as_str), Some("y"));
        assert_eq!(found.scope.unwrap().as_str(), "a");
    }

    /// R-AUTH-6
    #[test]
    fn a_name_that_is_no_token_is_not_among_the_algorithms() {
        let odd = ["x\", scope=\"admin", "a b", "\u{e9}"].map(SigningAlgorithm::parse);
        let line = BearerChallenge::default().to_dpop_header_value(&odd);
        assert_eq!(line, "DPoP");
    }

    /// R-AUTH-6, SEC-149, SEC-150
    #[test]
    fn nothing_breaks_out_of_a_quoted_string() {
        let challenge = BearerChallenge {
            error_description: Some(ErrorDescription::new(
                "x\", scope=\"admin\"\r\nSet-Cookie: y\\",
            )),
            ..BearerChallenge::default()
        };
        let line = challenge.to_header_value();
        assert_eq!(line, "Bearer error_description=\"x', scope='admin'  Set-Cookie: y\"");
        assert_eq!(find(line.to_str().unwrap()).unwrap().scope, None);
    }

    #[test]
    fn errors_and_parameters_that_are_not_known_here_stay_readable() {
        use crate::challenge::Challenges;
        let line =
            "Bearer error=\"insufficient_authorization\", authorization_remediation=\"eyJ9\"";
        let found = find(line).unwrap();
        assert_eq!(found.error.unwrap().as_str(), "insufficient_authorization");
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, line.parse().unwrap())]);
        let challenge = Challenges::new(&headers).next().unwrap().unwrap();
        let remediation = challenge.param("authorization_remediation").unwrap().unwrap();
        assert_eq!(remediation.to_text().unwrap(), "eyJ9");
    }

    /// C-DISC-3
    #[test]
    fn the_first_bearer_challenge_that_says_something() {
        assert_eq!(
            find("Bearer abc123==, Bearer scope=\"a\"").unwrap().scope.unwrap().as_str(),
            "a"
        );
        assert_eq!(find("Basic realm=\"x\", scope=\"a\""), None);
        assert_eq!(find("BearerX scope=\"a\""), None);
        let twice = find("Bearer realm=\"x\", scope=\"a\", realm=\"y\"").unwrap();
        assert_eq!((twice.realm, twice.scope.unwrap().as_str()), (None, "a"));
        assert_eq!(find("Bearer scope=\"a\", scope=\"b\""), None);
    }

    /// SEC-166
    #[test]
    fn a_malformed_scope_is_dropped_whole() {
        for scope in ["a\tb", "caf\u{e9}", "a\\\"b"] {
            let found =
                find(&format!("Bearer error=\"invalid_token\", scope=\"{scope}\"")).unwrap();
            assert_eq!(found.scope, None, "{scope:?}");
        }
    }
}
