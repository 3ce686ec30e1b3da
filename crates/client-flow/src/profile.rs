//! Exceptions for authorization servers that leave out a part of the specification, each for one named issuer.
//!
//! | setting | what is lost | why that is acceptable for the named issuer |
//! |---|---|---|
//! | [`with_resource_omitted`](ServerProfile::with_resource_omitted) | the server no longer hears which resource the token is for (RFC 8707) | it refuses requests that say so and binds tokens to a resource by their scope |
//! | [`with_scope`](ServerProfile::with_scope) | scopes are no longer those that the resource asks for | the host names them from the server's documentation |
//! | [`with_tenant_placeholder`](ServerProfile::with_tenant_placeholder) | the metadata names no single tenant (RFC 8414 §3.3) | the host pins the issuer, every other byte is compared, and the endpoints are on the issuer's origin |
//! | [`with_metadata_at`](ServerProfile::with_metadata_at) | the issuer's own well-known places are not asked (RFC 8414 §3) | the host names the URL, from the server's documentation, and the document still has to name the issuer |
//! | [`with_authorization_endpoint_at`](ServerProfile::with_authorization_endpoint_at) | codes from another origin are sent to this issuer's token endpoint without an `iss` that says whose they are (RFC 9207) | the host names the URL, from the server's documentation, and every other origin is still refused |
//! | [`with_s256_assumed`](ServerProfile::with_s256_assumed) | a server without PKCE is not noticed before the login | its documentation says that it supports PKCE, which is sent as ever (RFC 7636) |
//! | [`with_consent_prompt_omitted`](ServerProfile::with_consent_prompt_omitted) | the server may remember an earlier consent and give no refresh token | a forced consent locks users out where an administrator consents for them |
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
    /// A profile without exceptions, as every server has that the host says nothing about.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The profile of Microsoft Entra ID: no resource indicator, PKCE without its list, `{tenantid}` for a pinned
    /// issuer, and no forced consent.
    ///
    /// Entra answers AADSTS9010010 to a `resource` that is not the application of the scope, has no `code_challenge_methods_supported` in its
    /// metadata, and asks for an administrator where `prompt=consent` is sent. Add
    /// [`with_scope`](Self::with_scope), such as `api://…/.default`, where the MCP server lists scopes without the
    /// application's prefix.
    #[must_use]
    pub fn entra() -> Self {
        Self::new()
            .with_resource_omitted()
            .with_tenant_placeholder()
            .with_s256_assumed()
            .with_consent_prompt_omitted()
    }

    /// The profile of Amazon Cognito, which supports PKCE without listing it.
    #[must_use]
    pub fn cognito() -> Self {
        Self::new().with_s256_assumed()
    }

    /// Sends no `resource` to this server (RFC 8707), neither with the authorization nor with the token request.
    ///
    /// The token may then be good at other resources of the same server too, unless its scope or the client's
    /// registration says which one it is for.
    #[must_use]
    pub fn with_resource_omitted(mut self) -> Self {
        self.resource_omitted = true;
        self
    }

    /// Requests exactly this scope, and `offline_access` where that is wanted and listed, instead of the scopes that
    /// the resource names. A step-up requests the same again, so it ends after one try.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Accepts metadata whose `issuer` says `{tenantid}` where the issuer that is pinned for the resource
    /// ([`ClientConfig::pinned_issuers`](crate::ClientConfig::pinned_issuers)) names its tenant. Every other byte
    /// is compared, and the endpoints have to be on that issuer's origin.
    #[must_use]
    pub fn with_tenant_placeholder(mut self) -> Self {
        self.tenant_placeholder = true;
        self
    }

    /// Reads the metadata of this issuer at exactly this URL, which may be on another host. The document's `issuer` still
    /// has to be this issuer, byte for byte.
    ///
    /// Entra ID v1 needs it, whose issuer is at `sts.windows.net` and whose documents are at `login.microsoftonline.com`;
    /// so does Meta, whose issuer is `https://www.facebook.com` and whose document is at `mcp.facebook.com`. Pin the
    /// issuer too ([`ClientConfig::pinned_issuers`](crate::ClientConfig::pinned_issuers)), because the resource names
    /// another one.
    #[must_use]
    pub fn with_metadata_at(mut self, url: EndpointUrl) -> Self {
        self.metadata_url = Some(url);
        self
    }

    /// Accepts an authorization endpoint on the origin of this URL, although neither the issuer nor its token endpoint
    /// is on it and the metadata does not promise `iss` (RFC 9207).
    ///
    /// Without it such metadata is refused ([`DiscoveryError::MixUp`](crate::DiscoveryError::MixUp)), because an attacker who
    /// names the authorization endpoint of an honest server beside its own token endpoint would be sent that server's
    /// codes. Take the URL from the documentation of the server, never from its metadata or from the error.
    ///
    /// Atlassian's server `https://cf.mcp.atlassian.com` needs it, whose users log in at `mcp.atlassian.com`:
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

    /// Logs in although the metadata has no `code_challenge_methods_supported`. PKCE with S256 is sent all the same;
    /// a list that leaves S256 out is still refused.
    #[must_use]
    pub fn with_s256_assumed(mut self) -> Self {
        self.s256_assumed = true;
        self
    }

    /// Sends no `prompt=consent` with a request for `offline_access` (OpenID Connect Core §11).
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

    /// The scope to request where `found` was found out.
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

    /// The one place to look for the metadata, where the host has named it.
    pub(crate) const fn metadata_url(&self) -> Option<&EndpointUrl> {
        self.metadata_url.as_ref()
    }

    /// The URL on whose origin users may log in, where the host has named it.
    pub(crate) const fn authorization_endpoint(&self) -> Option<&EndpointUrl> {
        self.authorization_endpoint.as_ref()
    }

    /// Returns `true` if metadata that names no tenant may stand for an issuer that is pinned.
    pub(crate) const fn accepts_tenant_placeholder(&self) -> bool {
        self.tenant_placeholder
    }

    /// The constructor of the profile that is made for this issuer's host.
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

/// Hosts of Microsoft Entra ID, in its clouds.
const ENTRA: [&str; 6] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
];

impl fmt::Display for ServerProfile {
    /// The exceptions, for a log.
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
