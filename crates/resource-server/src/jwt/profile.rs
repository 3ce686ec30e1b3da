//! Dialects of JWT access tokens: the types and claims that providers use (RFC 9068 §2).

use oauth_types::Audience;
use serde::Deserialize as _;
use serde_json::Value;

/// Dialects of JWT access tokens, by provider.
///
/// The type `at+jwt` of RFC 9068 prevents confusion with an ID token. The other providers issue access tokens of
/// another form. With the profile of such a provider, a claim instead of the type distinguishes access tokens from ID
/// tokens. Signature, algorithm, issuer, lifetime and audience are checked in every profile. As of November 2026:
///
/// | profile | `typ` in the header | claims of an access token | client | scopes |
/// |---|---|---|---|---|
/// | `Rfc9068` | `at+jwt` | | `client_id` | `scope` |
/// | `Entra` | `JWT` | `scp` or `roles`; `azp` or `appid` | `azp` (`ver` 2.0), `appid` (1.0) | `scp`, else `roles` |
/// | `Okta` | absent, `JWT` | `cid` with `scp` | `cid` | `scp` |
/// | `Auth0` | `JWT`, `at+jwt` | `scope` or `gty` | `azp`, else `client_id` | `scope` |
/// | `Keycloak` | `JWT`, `at+jwt` | `typ` is `Bearer` or `DPoP` (ID tokens: `ID`) | `azp` | `scope` |
/// | `Cognito` | absent, `JWT` | `token_use` is `access` (ID tokens: `id`) | `client_id` | `scope` |
///
/// | profile | audience |
/// |---|---|
/// | `Rfc9068` | `aud` |
/// | `Entra` | `aud`: `api://…` or a GUID |
/// | `Okta` | `aud`: `api://default`, or the setting of the server |
/// | `Auth0` | `aud`: the identifier of the API |
/// | `Keycloak` | `aud`: the addition of an audience mapper |
/// | `Cognito` | `aud` if present, else `client_id` |
///
/// Entra, Okta, Auth0 and Cognito put `nonce`, `at_hash` and `c_hash` (OpenID Connect Core §2, §3.3.2.11) only into ID
/// tokens, so their profiles refuse these claims. Every profile also accepts `at+jwt`, but still requires its claims.
///
/// An audience other than the identifier of the resource must be configured:
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
    /// The JWT profile of RFC 9068, with the type `at+jwt`.
    #[default]
    Rfc9068,
    /// Microsoft Entra ID, endpoints 1.0 and 2.0.
    ///
    /// The issuer belongs to one tenant: `https://login.microsoftonline.com/{tenant}/v2.0`, or
    /// `https://sts.windows.net/{tenant}/` for an API whose manifest requests tokens of version 1. `scp` is a string.
    /// `roles` is a list of permissions of the application itself, used only if no user is involved. An ID token may
    /// have `roles` of a user, but has neither `scp` nor `azp` nor `appid`.
    ///
    /// Source: <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>,
    /// <https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>
    Entra,
    /// Okta, custom authorization servers.
    ///
    /// `scp` is a list. Tokens of the organization's own server (an issuer without `/oauth2/`) are for Okta only and
    /// name it as their audience. `sub` is the login of the user, or the client if no user is involved.
    ///
    /// Source: <https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/>
    Okta,
    /// Auth0, in its default dialect and in that of RFC 9068.
    ///
    /// The issuer ends with a slash. `aud` is a list if the token is also valid for the user's profile.
    ///
    /// Source: <https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles>
    Auth0,
    /// Keycloak, with or without the client's setting for `at+jwt`.
    ///
    /// Without an audience mapper the audience is `account`. Add a mapper whose custom audience is the identifier of
    /// the resource.
    ///
    /// Source: <https://www.keycloak.org/docs/latest/server_admin/#audience-support>
    Keycloak,
    /// Amazon Cognito, user pools.
    ///
    /// A token has an audience only if the client requested a resource (RFC 8707). Otherwise it is valid for every API
    /// that accepts tokens of its app client: configure the app client with
    /// [`with_audience`](crate::JwtTokens::with_audience), one for each resource.
    ///
    /// Source: [claims of access tokens][cognito]
    ///
    /// [cognito]:
    /// https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
    Cognito,
}

impl JwtProfile {
    /// Returns `true` if this `typ` header may belong to an access token (RFC 8725 §3.11).
    pub(super) fn is_type(self, typ: Option<&str>) -> bool {
        let is = |name: &str| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
        let is_standard = is("at+jwt") || is("application/at+jwt");
        match self {
            Self::Rfc9068 => is_standard,
            Self::Entra | Self::Auth0 | Self::Keycloak => is_standard || is("JWT"),
            Self::Okta | Self::Cognito => is_standard || is("JWT") || typ.is_none(),
        }
    }

    /// Returns `true` if the claims belong to an access token, and not to another token of the issuer.
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
            // Access tokens had a nonce before version 24.
            Self::Keycloak => says("typ", "Bearer") || says("typ", "DPoP"),
            Self::Cognito => says("token_use", "access") && !is_id_token(),
        }
    }

    /// Returns the name of the claim with the client identifier.
    pub(super) fn client_claim(self, claims: &Value) -> &'static str {
        match self {
            Self::Rfc9068 | Self::Cognito => "client_id",
            Self::Entra if claims.get("ver").is_some_and(|version| version == "1.0") => "appid",
            Self::Auth0 if claims.get("azp").is_none() => "client_id",
            Self::Entra | Self::Auth0 | Self::Keycloak => "azp",
            Self::Okta => "cid",
        }
    }

    /// Returns the name of the claim with the scopes.
    pub(super) fn scope_claim(self, claims: &Value) -> &'static str {
        match self {
            Self::Rfc9068 | Self::Auth0 | Self::Keycloak | Self::Cognito => "scope",
            // Roles of a user do not tell what the client was granted.
            Self::Entra if claims.get("scp").is_none() => "roles",
            Self::Entra | Self::Okta => "scp",
        }
    }

    /// Returns the audience of the token, or `None` if it is malformed.
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
