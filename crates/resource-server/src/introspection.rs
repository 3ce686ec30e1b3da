//! Token introspection: requests to the endpoint of an authorization server (RFC 7662).
//!
//! Checks before a request, if the endpoint comes from metadata:
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the `issuer` of the metadata is this issuer | C-DISC-7 | `ForeignMetadata` |
//! | the metadata names an introspection endpoint | RFC 8414 §2 | `NoEndpoint` |
//! | the endpoint accepts a client secret | RFC 7662 §2.1 | `Method` |

mod answer;

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;

use bytes::Bytes;
use client_auth::{ClientCredentials, NoUsableMethod};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, ClaimNames, ClientId, EndpointUrl, FormPairs,
    FormWriter, InvalidUri, Issuer, ResourceUri, Secret, encode_component,
};

use crate::foreign::Audiences;

pub use answer::{Introspected, IntrospectionFailed, IntrospectionRejected};

/// Introspection settings for one authorization server (RFC 7662 §2).
///
/// The settings include the credentials of the resource server there.
///
/// ```
/// use oauth_types::{ClientId, EndpointUrl, Issuer, Secret, UnixTime};
/// use resource_server::{Introspected, Introspection};
///
/// let issuer = Issuer::parse("https://as.example")?;
/// let introspection = Introspection::new(issuer, ClientId::parse("rs")?, Secret::new("s3cret"));
/// let endpoint = introspection.at(&EndpointUrl::parse("https://as.example/introspect")?)?;
///
/// let request = endpoint.request(&Secret::new("2YotnFZFEjr1zCsicMWpAA"));
/// // The host sends it, and follows no redirect.
/// # assert!(request.headers().contains_key("authorization"));
/// let answer = http::Response::builder()
///     .header("content-type", "application/json")
///     .body(r#"{"active":false}"#.into())?;
/// let found = introspection.read(&answer, UnixTime::from_secs(0))?;
/// assert!(matches!(found, Introspected::No(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Introspection {
    issuer: Issuer,
    client_id: ClientId,
    secret: Secret,
    method: Option<AuthMethod>,
    window: Duration,
    takes_unnamed: bool,
    subject_claim: Cow<'static, str>,
    audiences: Audiences,
    sole_resource: Option<ResourceUri>,
    extra_claims: ClaimNames,
}

/// Introspection endpoint, with the client authentication for it.
#[derive(Clone)]
pub struct IntrospectionEndpoint {
    uri: Uri,
    headers: HeaderMap,
    /// The part of the form that is the same for each token; contains the secret with `client_secret_post`.
    form: Secret,
}

/// Errors in the configuration of either server that make introspection impossible.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NoIntrospection {
    /// The metadata belongs to another issuer (RFC 8414 §3.3).
    ForeignMetadata,
    /// The metadata names no introspection endpoint.
    NoEndpoint,
    /// The endpoint is not a URL that requests can be sent to.
    Endpoint(InvalidUri),
    /// The endpoint accepts a secret by none of the supported methods.
    Method(NoUsableMethod),
}

impl fmt::Display for NoIntrospection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignMetadata => f.write_str(
                "the metadata names another issuer than the configured one (RFC 8414 §3.3): check the configured \
                 issuer; if it is right, the authorization server's operator has to correct `issuer`",
            ),
            Self::NoEndpoint => f.write_str(
                "the metadata names no `introspection_endpoint`: configure its URL, or ask the authorization server's \
                 operator to name it (RFC 8414 §2)",
            ),
            Self::Endpoint(rule) => {
                write!(f, "the introspection endpoint {rule}; configure its URL, or ask the server's operator")
            }
            Self::Method(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for NoIntrospection {}

impl Introspection {
    /// Maximum length of a token that is introspected, in bytes of its form encoding.
    ///
    /// Authorization servers accept at most this length ([`FormPairs::MAX_VALUE_BYTES`]), so a longer token cannot be
    /// valid.
    pub const MAX_TOKEN: usize = FormPairs::MAX_VALUE_BYTES;
    /// Maximum length of a response, in bytes.
    pub const MAX_ANSWER: usize = 128 * 1024;
    /// Default time for which a response is cached.
    pub const WINDOW: Duration = Duration::from_secs(10);
    /// Maximum time for which a response can be cached.
    ///
    /// A token may remain usable for this time after its revocation.
    pub const MAX_WINDOW: Duration = Duration::from_secs(30);

    /// Creates the settings for one issuer, with the credentials of the resource server there.
    #[must_use]
    pub const fn new(issuer: Issuer, client_id: ClientId, secret: Secret) -> Self {
        let window = Self::WINDOW;
        Self {
            issuer,
            client_id,
            secret,
            method: None,
            window,
            takes_unnamed: false,
            subject_claim: Cow::Borrowed("sub"),
            audiences: Audiences::new(),
            sole_resource: None,
            extra_claims: ClaimNames::none(),
        }
    }

    /// Sets the client authentication method.
    ///
    /// The default is the first supported method in the metadata of the server that uses a secret, or
    /// `client_secret_basic` without metadata.
    #[must_use]
    pub fn with_method(mut self, method: AuthMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Sets the time for which a response is cached; zero disables the cache.
    ///
    /// The time is limited to [`MAX_WINDOW`](Self::MAX_WINDOW).
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        // SEC-155
        self.window = window.min(Self::MAX_WINDOW);
        self
    }

    /// Accepts tokens without `sub` and `username`; the client becomes the subject.
    ///
    /// Use this only for a server that names the user in every token that has one. Otherwise all users of a client
    /// would be the same subject, and sessions belong to subjects.
    #[must_use]
    pub const fn with_unnamed_subjects(mut self) -> Self {
        self.takes_unnamed = true;
        self
    }

    /// Takes the subject from this member, such as `username`, instead of `sub`.
    ///
    /// Use this for a server that omits `sub`, such as django-oauth-toolkit. The value must identify the same user
    /// permanently, because sessions and data of the host belong to subjects. If it is reassigned to another user, that
    /// user gets them.
    #[must_use]
    pub fn with_subject_claim(mut self, name: &str) -> Self {
        self.subject_claim = Cow::Owned(name.to_owned());
        self
    }

    /// Accepts `name` in the audience of a token as a name of this resource.
    ///
    /// The name is compared byte for byte. Call this once for each name that the authorization server uses.
    #[must_use]
    pub fn with_audience(mut self, name: &str, resource: ResourceUri) -> Self {
        self.audiences.add(name, resource);
        self
    }

    /// Accepts tokens whose response has no `aud` as tokens for this resource.
    ///
    /// Use this only for a server that issues tokens for no other resource. With a second resource, either could replay
    /// at the other the tokens that it receives. A token with an `aud` is still judged by it.
    #[must_use]
    pub fn with_sole_resource(mut self, resource: ResourceUri) -> Self {
        self.sole_resource = Some(resource);
        self
    }

    /// Passes these further members of a response on to handlers, which read them with [`AuthInfo::claim`].
    ///
    /// Nothing else of a response is stored. The claims grant nothing by themselves.
    ///
    /// [`AuthInfo::claim`]: crate::AuthInfo::claim
    #[must_use]
    pub fn with_extra_claims(mut self, names: ClaimNames) -> Self {
        self.extra_claims = names;
        self
    }

    /// Returns the issuer of the authorization server.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Returns `true` if the token is short enough for a form value, so that it could be valid.
    #[must_use]
    pub fn is_askable(token: &Secret) -> bool {
        // Form encoding takes at most three bytes for one byte, so a token of ordinary length need not be encoded here.
        let token = token.expose();
        let is_short = token.len() <= Self::MAX_TOKEN / 3;
        let fits = || encode_component(token).to_string().len() <= Self::MAX_TOKEN;
        is_short || token.len() <= Self::MAX_TOKEN && fits()
    }

    /// Returns the endpoint at a configured URL.
    ///
    /// # Errors
    ///
    /// [`NoIntrospection::Endpoint`] if requests cannot be sent to the URL, or [`NoIntrospection::Method`] if the
    /// configured method does not use the secret.
    pub fn at(&self, endpoint: &EndpointUrl) -> Result<IntrospectionEndpoint, NoIntrospection> {
        self.endpoint(endpoint, &[AuthMethod::ClientSecretBasic])
    }

    /// Returns the endpoint that the metadata of the server names (RFC 8414 §2).
    ///
    /// # Errors
    ///
    /// [`NoIntrospection`] if the metadata belongs to another issuer or names no endpoint, if requests cannot be sent
    /// to the endpoint, or if it accepts a secret by none of the supported methods.
    pub fn discovered(
        &self,
        metadata: &AuthorizationServerMetadata,
    ) -> Result<IntrospectionEndpoint, NoIntrospection> {
        // C-DISC-7
        if metadata.issuer != self.issuer {
            return Err(NoIntrospection::ForeignMetadata);
        }
        let endpoint = metadata.introspection_endpoint.as_ref();
        let endpoint = endpoint.ok_or(NoIntrospection::NoEndpoint)?;
        match &metadata.introspection_endpoint_auth_methods_supported {
            Some(listed) => self.endpoint(endpoint, listed),
            None => self.at(endpoint),
        }
    }

    fn endpoint(
        &self,
        url: &EndpointUrl,
        listed: &[AuthMethod],
    ) -> Result<IntrospectionEndpoint, NoIntrospection> {
        let (client_id, secret) = (self.client_id.clone(), Some(self.secret.clone()));
        let credentials =
            ClientCredentials::choose(client_id, secret, self.method.as_ref(), listed)
                .map_err(NoIntrospection::Method)?;
        // The request must be authenticated (RFC 7662 §2.1).
        let unproved = NoIntrospection::Method(NoUsableMethod::SecretNotAccepted);
        if *credentials.method() == AuthMethod::None {
            return Err(unproved);
        }
        let json = HeaderValue::from_static("application/json");
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = HeaderMap::from_iter([(ACCEPT, json), (CONTENT_TYPE, form)]);
        let mut form = FormWriter::new();
        form.append("token_type_hint", "access_token");
        credentials.attach(&mut headers, &mut form).map_err(|_| unproved)?;
        let uri = url.to_uri().map_err(NoIntrospection::Endpoint)?;
        Ok(IntrospectionEndpoint { uri, headers, form: Secret::new(form.finish()) })
    }
}

impl IntrospectionEndpoint {
    /// Creates the introspection request for a token (RFC 7662 §2.1).
    ///
    /// The host must not follow redirects, and should read at most [`MAX_ANSWER`](Introspection::MAX_ANSWER) bytes of
    /// the response.
    #[must_use]
    pub fn request(&self, token: &Secret) -> Request<Bytes> {
        let mut form = FormWriter::new();
        form.append("token", token.expose());
        let body = [form.as_str(), "&", self.form.expose()].concat();
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl fmt::Debug for IntrospectionEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionEndpoint").field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;

    fn introspection() -> Introspection {
        let issuer = Issuer::parse("https://as.example").unwrap();
        Introspection::new(issuer, ClientId::parse("rs").unwrap(), Secret::new("canary &"))
    }

    fn endpoint() -> EndpointUrl {
        EndpointUrl::parse("https://as.example/introspect").unwrap()
    }

    fn metadata(members: &str) -> AuthorizationServerMetadata {
        AuthorizationServerMetadata::from_json(format!("{{{members}}}").as_bytes()).unwrap()
    }

    /// SEC-154
    #[test]
    fn a_question_is_a_form_and_proves_who_asks() {
        let own = |method| introspection().with_method(method).at(&endpoint()).unwrap();
        for (endpoint, in_form) in [
            (introspection().at(&endpoint()).unwrap(), false),
            (own(AuthMethod::ClientSecretBasic), false),
            (own(AuthMethod::ClientSecretPost), true),
        ] {
            let request = endpoint.request(&Secret::new("a+/=b&c"));
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), "https://as.example/introspect");
            assert_eq!(request.headers()[ACCEPT], "application/json");
            assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
            let form = FormPairs::parse(request.body()).unwrap();
            assert_eq!(form.single("token"), Ok(Some("a+/=b&c")));
            assert_eq!(form.single("token_type_hint"), Ok(Some("access_token")));
            assert_eq!(form.single("client_id"), Ok(in_form.then_some("rs")));
            assert_eq!(form.single("client_secret"), Ok(in_form.then_some("canary &")));
            let line = request.headers().get(AUTHORIZATION);
            assert_eq!(line.is_some(), !in_form);
            assert!(line.is_none_or(HeaderValue::is_sensitive));
        }
    }

    /// SEC-192
    #[test]
    fn who_asks_shows_no_secret() {
        let post = introspection().with_method(AuthMethod::ClientSecretPost);
        for endpoint in [introspection().at(&endpoint()), post.at(&endpoint())] {
            let shown = format!("{post:?} {:?}", endpoint.unwrap());
            assert!(!shown.contains("canary") && !shown.contains("Basic"), "{shown}");
        }
    }

    /// C-DISC-7
    #[test]
    fn metadata_says_where_and_how_if_it_is_of_the_issuer() {
        let at = r#""introspection_endpoint":"https://as.example/i""#;
        let own = r#""issuer":"https://as.example""#;
        let listed = |methods: &str| {
            metadata(&format!(
                r#"{own},{at},"introspection_endpoint_auth_methods_supported":{methods}"#
            ))
        };
        let found = introspection().discovered(&metadata(&format!("{own},{at}"))).unwrap();
        let request = found.request(&Secret::new("t"));
        assert_eq!(request.uri(), "https://as.example/i");
        assert!(request.headers().contains_key(AUTHORIZATION));
        let post = listed(r#"["private_key_jwt","client_secret_post","client_secret_basic"]"#);
        let request = introspection().discovered(&post).unwrap().request(&Secret::new("t"));
        assert!(!request.headers().contains_key(AUTHORIZATION));
        let basic = introspection().with_method(AuthMethod::ClientSecretBasic);
        let request = basic.discovered(&post).unwrap().request(&Secret::new("t"));
        assert!(request.headers().contains_key(AUTHORIZATION));

        let fails = |metadata| introspection().discovered(&metadata).unwrap_err();
        let slash = metadata(&format!(r#""issuer":"https://as.example/",{at}"#));
        assert_eq!(fails(slash), NoIntrospection::ForeignMetadata);
        assert_eq!(fails(metadata(own)), NoIntrospection::NoEndpoint);
        // The secret is sent only by a method that the server lists, and no request is made without it.
        let refused = NoIntrospection::Method(NoUsableMethod::SecretNotAccepted);
        for methods in [r#"["none"]"#, r#"["private_key_jwt"]"#, r#"["Bearer"]"#, "[]"] {
            assert_eq!(fails(listed(methods)), refused, "{methods}");
        }
        let public = introspection().with_method(AuthMethod::None);
        assert_eq!(public.at(&endpoint()).unwrap_err(), refused);
        let signed = introspection().with_method(AuthMethod::PrivateKeyJwt);
        let missing = NoIntrospection::Method(NoUsableMethod::KeyMissing);
        assert_eq!(signed.at(&endpoint()).unwrap_err(), missing);
    }

    #[test]
    fn a_token_that_is_too_long_for_anybody_is_asked_about_nowhere() {
        let is_askable =
            |text: &str, times| Introspection::is_askable(&Secret::new(text.repeat(times)));
        for (text, most) in [("a", 8192), ("+", 2730), ("aa+", 1638)] {
            assert!(is_askable(text, most) && !is_askable(text, most + 1), "{text}");
        }
    }
}
