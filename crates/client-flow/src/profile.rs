//! Server profiles: exceptions from the specification, each for one authorization server.
//!
//! Each setting gives up one protection, which is acceptable for the named issuer only.
//!
//! - [`with_resource_omitted`](ServerProfile::with_resource_omitted): the server does not learn which resource the
//!   token is for (RFC 8707). Acceptable because it refuses requests with `resource` and binds tokens to a resource by
//!   their scope.
//! - [`with_scope`](ServerProfile::with_scope): the scopes that the resource names are ignored. Acceptable because the
//!   host takes the scopes from the server's documentation.
//! - [`with_tenant_placeholder`](ServerProfile::with_tenant_placeholder): the metadata names no single tenant (RFC 8414
//!   §3.3). Acceptable because the host pins the issuer, every other byte is compared, and the endpoints are on the
//!   issuer's origin.
//! - [`with_metadata_at`](ServerProfile::with_metadata_at): the issuer's own well-known URLs are not requested (RFC
//!   8414 §3). Acceptable because the host names the URL, from the server's documentation, and the document still has
//!   to name the issuer.
//! - [`with_authorization_endpoint_at`](ServerProfile::with_authorization_endpoint_at): codes from another origin are
//!   sent to this issuer's token endpoint without an `iss` that identifies their issuer (RFC 9207). Acceptable because
//!   the host names the URL, from the server's documentation, and every other origin is still refused.
//! - [`with_s256_assumed`](ServerProfile::with_s256_assumed): a server without PKCE is not detected before the login.
//!   Acceptable because its documentation says that it supports PKCE, which is always sent (RFC 7636).
//! - [`with_consent_prompt_omitted`](ServerProfile::with_consent_prompt_omitted): the server may remember an earlier
//!   consent and issue no refresh token. Acceptable because a forced consent locks users out where an administrator
//!   consents for them.
//!
//! Everything else stays strict, and other issuers are not affected.

use core::fmt;

use oauth_types::{AuthorizationServerMetadata, EndpointUrl, Issuer, Scope, ScopeSet};
use serde::{Deserialize, Serialize};

/// Exceptions that the host makes for one authorization server; none by default.
///
/// ```
/// use client_flow::{ClientConfig, ServerProfile};
/// use oauth_types::{Issuer, RedirectUri};
///
/// let issuer = Issuer::parse(
///     "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
/// )?;
/// let redirect_uri = RedirectUri::parse("http://127.0.0.1/callback")?;
/// let config = ClientConfig::new("My client", redirect_uri)
///     .with_server_profile(issuer, ServerProfile::entra());
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerProfile {
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) resource_omitted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeSet>,
    #[serde(skip_serializing_if = "is_false")]
    tenant_placeholder: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_url: Option<EndpointUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<EndpointUrl>,
    #[serde(skip_serializing_if = "is_false")]
    s256_assumed: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) consent_prompt_omitted: bool,
}

impl ServerProfile {
    /// Creates a profile without exceptions, which is the default of every server.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the profile of Microsoft Entra ID.
    ///
    /// It omits the resource indicator, assumes PKCE with S256, accepts `{tenantid}` for a pinned issuer, and does not
    /// force a consent.
    ///
    /// Entra answers AADSTS9010010 to a `resource` that is not the application of the scope, has no
    /// `code_challenge_methods_supported` in its metadata, and requires an administrator where `prompt=consent` is
    /// sent. Add [`with_scope`](Self::with_scope), such as `api://…/.default`, where the MCP server lists scopes
    /// without the application's prefix.
    #[must_use]
    pub fn entra() -> Self {
        Self::new()
            .with_resource_omitted()
            .with_tenant_placeholder()
            .with_s256_assumed()
            .with_consent_prompt_omitted()
    }

    /// Returns the profile of Amazon Cognito, which supports PKCE without listing it.
    #[must_use]
    pub fn cognito() -> Self {
        Self::new().with_s256_assumed()
    }

    /// Omits `resource` (RFC 8707) from authorization and token requests to this server.
    ///
    /// The token may then be valid at other resources of the same server, unless its scope or the client's registration
    /// determines the resource.
    #[must_use]
    pub fn with_resource_omitted(mut self) -> Self {
        self.resource_omitted = true;
        self
    }

    /// Requests exactly this scope instead of the scopes that the resource names.
    ///
    /// `offline_access` is added where it is wanted and listed. A step-up requests the same scope again, so it ends
    /// after one attempt.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Accepts metadata whose `issuer` has `{tenantid}` in the place of the tenant.
    ///
    /// The tenant is that of the issuer that is pinned for the resource
    /// ([`ClientConfig::pinned_issuers`](crate::ClientConfig::pinned_issuers)). Every other byte is compared, and the
    /// endpoints have to be on that issuer's origin.
    #[must_use]
    pub fn with_tenant_placeholder(mut self) -> Self {
        self.tenant_placeholder = true;
        self
    }

    /// Reads the metadata of this issuer at exactly this URL, which may be on another host.
    ///
    /// The document's `issuer` still has to be this issuer, byte for byte.
    ///
    /// Entra ID v1 needs it: its issuer is at `sts.windows.net` and its documents are at `login.microsoftonline.com`.
    /// So does Meta: its issuer is `https://www.facebook.com` and its document is at `mcp.facebook.com`. Pin the issuer
    /// too ([`ClientConfig::pinned_issuers`](crate::ClientConfig::pinned_issuers)), because the resource names another
    /// one.
    #[must_use]
    pub fn with_metadata_at(mut self, url: EndpointUrl) -> Self {
        self.metadata_url = Some(url);
        self
    }

    /// Accepts an authorization endpoint on the origin of this URL.
    ///
    /// Required where neither the issuer nor its token endpoint is on that origin and the metadata does not promise
    /// `iss` (RFC 9207).
    ///
    /// Without this exception such metadata is refused ([`DiscoveryError::MixUp`](crate::DiscoveryError::MixUp)),
    /// because an attacker that names the authorization endpoint of an honest server beside its own token endpoint
    /// would receive that server's codes. Take the URL from the documentation of the server, never from its metadata or
    /// from the error.
    ///
    /// Atlassian's server `https://cf.mcp.atlassian.com` needs it, because its users log in at `mcp.atlassian.com`:
    ///
    /// ```
    /// use client_flow::ServerProfile;
    /// use oauth_types::EndpointUrl;
    ///
    /// let page = EndpointUrl::parse("https://mcp.atlassian.com/v1/authorize")?;
    /// let profile = ServerProfile::new().with_authorization_endpoint_at(page);
    /// assert_eq!(profile.to_string(), "users log in at https://mcp.atlassian.com");
    /// # Ok::<(), oauth_types::InvalidUri>(())
    /// ```
    #[must_use]
    pub fn with_authorization_endpoint_at(mut self, url: EndpointUrl) -> Self {
        self.authorization_endpoint = Some(url);
        self
    }

    /// Assumes PKCE with S256 where the metadata has no `code_challenge_methods_supported`.
    ///
    /// PKCE with S256 is sent in any case; a list without S256 is still refused.
    #[must_use]
    pub fn with_s256_assumed(mut self) -> Self {
        self.s256_assumed = true;
        self
    }

    /// Omits `prompt=consent` from requests for `offline_access` (OpenID Connect Core §11).
    #[must_use]
    pub fn with_consent_prompt_omitted(mut self) -> Self {
        self.consent_prompt_omitted = true;
        self
    }

    /// Returns `true` if the profile makes no exception.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the scope to request in place of the discovered one.
    pub(crate) fn scope_instead_of(&self, found: Option<ScopeSet>) -> Option<ScopeSet> {
        let Some(fixed) = &self.scope else { return found };
        let is_offline = found.is_some_and(|found| found.contains(Scope::OFFLINE_ACCESS));
        let offline = ScopeSet::parse(Scope::OFFLINE_ACCESS).ok().filter(|_| is_offline);
        let both = offline.and_then(|offline| fixed.union(&offline).ok());
        Some(both.unwrap_or_else(|| fixed.clone()))
    }

    /// Returns `true` if a login at this server can rely on PKCE.
    pub(crate) fn accepts_pkce_of(&self, server: &AuthorizationServerMetadata) -> bool {
        // C-AUTHZ-2
        let is_unlisted = server.code_challenge_methods_supported.is_none();
        server.supports_s256() || (self.s256_assumed && is_unlisted)
    }

    /// Returns the only URL to read the metadata from, if the host has named one.
    pub(crate) const fn metadata_url(&self) -> Option<&EndpointUrl> {
        self.metadata_url.as_ref()
    }

    /// Returns the URL on whose origin users may log in, if the host has named one.
    pub(crate) const fn authorization_endpoint(&self) -> Option<&EndpointUrl> {
        self.authorization_endpoint.as_ref()
    }

    /// Returns `true` if metadata with `{tenantid}` may stand for a pinned issuer.
    pub(crate) const fn accepts_tenant_placeholder(&self) -> bool {
        self.tenant_placeholder
    }

    /// Returns the name of the profile constructor for the host of this issuer.
    pub(crate) fn made_for(issuer: &Issuer) -> Option<&'static str> {
        let origin = issuer.origin();
        let host = origin.host();
        if ENTRA.contains(&host) || host.ends_with(".ciamlogin.com") {
            return Some("ServerProfile::entra");
        }
        let is_cognito = host.starts_with("cognito-idp.") && host.ends_with(".amazonaws.com");
        is_cognito.then_some("ServerProfile::cognito")
    }
}

/// Hosts of Microsoft Entra ID in its national clouds.
const ENTRA: [&str; 6] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
];

impl fmt::Display for ServerProfile {
    /// Lists the exceptions, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_strict() {
            return f.write_str("nothing");
        }
        let scope = self.scope.as_ref().map(|scope| format!("the scope is always {scope}"));
        let place = self.metadata_url.as_ref().map(|url| format!("the metadata is at {url}"));
        let page = self.authorization_endpoint.as_ref();
        let page = page.map(|url| format!("users log in at {}", url.origin()));
        let exceptions = [
            self.resource_omitted.then_some("no resource indicator is sent (RFC 8707)"),
            scope.as_deref(),
            self.tenant_placeholder.then_some("`{tenantid}` stands for the pinned tenant"),
            place.as_deref(),
            page.as_deref(),
            self.s256_assumed.then_some("PKCE need not be listed"),
            self.consent_prompt_omitted.then_some("consent is not forced"),
        ];
        for (place, exception) in exceptions.into_iter().flatten().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(exception)?;
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_by_its_issuers_host_only() {
        for (issuer, profile) in [
            ("https://login.microsoftonline.com/common/v2.0", Some("ServerProfile::entra")),
            ("https://contoso.ciamlogin.com/x/v2.0", Some("ServerProfile::entra")),
            ("https://cognito-idp.eu-west-1.amazonaws.com/p", Some("ServerProfile::cognito")),
            ("https://login.microsoftonline.com.evil.example/v2.0", None),
            ("https://evil.example/login.microsoftonline.com/v2.0", None),
        ] {
            let issuer = Issuer::parse(issuer).unwrap();
            assert_eq!(ServerProfile::made_for(&issuer), profile, "{issuer}");
        }
    }

    #[test]
    fn a_profile_says_what_it_relaxes() {
        assert_eq!(ServerProfile::new().to_string(), "nothing");
        assert!(ServerProfile::new().is_strict());
        let scope = ScopeSet::parse("api://x/.default").unwrap();
        assert_eq!(
            ServerProfile::entra().with_scope(scope).to_string(),
            "no resource indicator is sent (RFC 8707), the scope is always api://x/.default, \
             `{tenantid}` stands for the pinned tenant, PKCE need not be listed, consent is not \
             forced"
        );
    }
}
