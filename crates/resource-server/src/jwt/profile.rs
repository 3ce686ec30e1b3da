//! Dialects of JWT access tokens: the claims and types that providers of authorization servers use (RFC 9068 §2).

use oauth_types::Audience;
use serde::Deserialize as _;
use serde_json::Value;

/// Dialects in which authorization servers write JWT access tokens.
///
/// RFC 9068 says what an access token looks like, so that it cannot be confused with an ID token: its type is `at+jwt`.
/// The providers below sign access tokens of another form. Naming the profile of an issuer takes that form, and a claim
/// takes over from the type as what tells an access token from an ID token. Signature, algorithm, issuer, lifetime and
/// audience are checked as ever. Facts as of November 2026:
///
/// | profile | `typ` in the header | what makes it an access token | client | scopes | audience |
/// |---|---|---|---|---|---|
/// | `Rfc9068` | `at+jwt` | the type | `client_id` | `scope` | `aud` |
/// | `Entra` | `JWT` | `scp` or `roles`, with `azp` or `appid` | `azp` (`ver` 2.0), `appid` (1.0) | `scp`, without it `roles` | `aud`: `api://…` or a GUID |
/// | `Okta` | absent, `JWT` | `cid` with `scp` | `cid` | `scp` | `aud`: `api://default`, or what the server is set to |
/// | `Auth0` | `JWT`, `at+jwt` | `scope` or `gty` | `azp`, with `at+jwt` `client_id` | `scope` | `aud`: the API's identifier |
/// | `Keycloak` | `JWT`, `at+jwt` | the claim `typ` is `Bearer` or `DPoP`; `ID` in an ID token | `azp` | `scope` | `aud`: what an audience mapper adds |
/// | `Cognito` | absent, `JWT` | `token_use` is `access`; `id` in an ID token | `client_id` | `scope` | `aud` where it is there, else `client_id` |
///
/// `nonce`, `at_hash` and `c_hash` (OpenID Connect Core §2, §3.3.2.11) are refused for Entra, Okta, Auth0 and Cognito,
/// which write them into ID tokens alone. Every profile takes `at+jwt` too, and asks for its claims all the same.
///
/// An audience that is not the resource's identifier has to be named:
/// [`with_audience`](crate::JwtTokens::with_audience).
///
/// ```
/// use oauth_types::{Issuer, ResourceUri};
/// use resource_server::{JwtProfile, JwtTokens};
///
/// let tenant = "https://login.microsoftonline.com/5e4dff0a-9b7a-4f1e-8f3e-6d3c3c1b1a11/v2.0";
/// let mcp = ResourceUri::parse("https://mcp.example/mcp")?;
/// let tokens = JwtTokens::new(Issuer::parse(tenant)?)
///     .with_profile(JwtProfile::Entra)
///     .with_audience("6731de76-14a6-49ae-97bc-6eba6914391e", mcp);
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum JwtProfile {
    /// The JWT profile of RFC 9068: type `at+jwt`, nothing else.
    #[default]
    Rfc9068,
    /// Microsoft Entra ID, endpoints 1.0 and 2.0.
    ///
    /// The issuer is that of one tenant: `https://login.microsoftonline.com/{tenant}/v2.0`, or
    /// `https://sts.windows.net/{tenant}/` for an API whose manifest asks for tokens of version 1. `scp` is one text,
    /// `roles` a list: what the application itself may do, taken only where no user is involved. An ID token may have
    /// `roles` of a user, and has neither `scp` nor `azp` nor `appid`.
    ///
    /// Source: <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>,
    /// <https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>
    Entra,
    /// Okta, custom authorization servers.
    ///
    /// `scp` is a list. The tokens of the organization's own server (an issuer without `/oauth2/`) are for Okta alone
    /// and name it as their audience. `sub` is the user's login, or the client where no user is involved.
    ///
    /// Source: <https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/>
    Okta,
    /// Auth0, both of its token dialects: its own, which is the default, and that of RFC 9068.
    ///
    /// The issuer ends in a slash. `aud` is a list where the token is good for the user's profile, too.
    ///
    /// Source: <https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles>
    Auth0,
    /// Keycloak, with or without the client's setting for `at+jwt`.
    ///
    /// Without an audience mapper the audience is `account`: add one whose custom audience is the resource's
    /// identifier.
    ///
    /// Source: <https://www.keycloak.org/docs/latest/server_admin/#audience-support>
    Keycloak,
    /// Amazon Cognito, user pools.
    ///
    /// A token has an audience only where the client asked for a resource (RFC 8707). Without one it is for whichever
    /// API takes the tokens of its app client: name the app client with
    /// [`with_audience`](crate::JwtTokens::with_audience), one for each resource.
    ///
    /// Source: <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html>
    Cognito,
}

impl JwtProfile {
    /// Returns `true` if a header of this type may belong to an access token (RFC 8725 §3.11).
    pub(super) fn is_type(self, typ: Option<&str>) -> bool {
        let is = |name: &str| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
        let is_standard = is("at+jwt") || is("application/at+jwt");
        match self {
            Self::Rfc9068 => is_standard,
            Self::Entra | Self::Auth0 | Self::Keycloak => is_standard || is("JWT"),
            Self::Okta | Self::Cognito => is_standard || is("JWT") || typ.is_none(),
        }
    }

    /// Returns `true` if the claims are those of an access token, and of nothing else that the issuer signs.
    pub(super) fn is_access_token(self, claims: &Value) -> bool {
        let has = |name: &str| claims.get(name).is_some_and(|value| !value.is_null());
        let says = |name: &str, text: &str| claims.get(name).is_some_and(|value| value == text);
        let is_id_token = || {
            let is_named = says("token_use", "id") || says("typ", "ID");
            is_named || has("nonce") || has("at_hash") || has("c_hash")
        };
        match self {
            Self::Rfc9068 => true,
            Self::Entra => {
                let is_known = says("ver", "1.0") || says("ver", "2.0");
                is_known
                    && has(self.client_claim(claims))
                    && (has("scp") || has("roles"))
                    && !is_id_token()
            }
            Self::Okta => has("cid") && has("scp") && !is_id_token(),
            Self::Auth0 => (has("scope") || has("gty")) && !is_id_token(),
            // Before version 24 its access tokens had a nonce.
            Self::Keycloak => says("typ", "Bearer") || says("typ", "DPoP"),
            Self::Cognito => says("token_use", "access") && !is_id_token(),
        }
    }

    /// The claim that names the client.
    pub(super) fn client_claim(self, claims: &Value) -> &'static str {
        match self {
            Self::Rfc9068 | Self::Cognito => "client_id",
            Self::Entra if claims.get("ver").is_some_and(|version| version == "1.0") => "appid",
            Self::Auth0 if claims.get("azp").is_none() => "client_id",
            Self::Entra | Self::Auth0 | Self::Keycloak => "azp",
            Self::Okta => "cid",
        }
    }

    /// The claim that names the scopes.
    pub(super) fn scope_claim(self, claims: &Value) -> &'static str {
        match self {
            Self::Rfc9068 | Self::Auth0 | Self::Keycloak | Self::Cognito => "scope",
            // A user's roles say nothing about what the client was granted.
            Self::Entra if claims.get("scp").is_none() => "roles",
            Self::Entra | Self::Okta => "scp",
        }
    }

    /// The recipients of the token; `None` when they do not have their form.
    pub(super) fn audience(self, claims: &Value) -> Option<Audience> {
        match claims.get("aud") {
            Some(audience) => Audience::deserialize(audience).ok(),
            None if self == Self::Cognito => {
                let client = claims.get("client_id").and_then(Value::as_str);
                Some(Audience(client.map(str::to_owned).into_iter().collect()))
            }
            None => Some(Audience::default()),
        }
    }
}
