//! Configuration of the protected resource (RFC 9728); a request changes none of it.

#[cfg(feature = "dpop")]
mod dpop;

use core::fmt;

use oauth_types::{
    BearerChallenge, BrowserOrigins, EndpointUrl, Hosts, InvalidUri, Issuer,
    ProtectedResourceMetadata, ResourceUri, Scope, ScopeSet, TokenType,
    protected_resource_root_url, protected_resource_url,
};

#[cfg(feature = "dpop")]
pub(crate) use dpop::ProofRules;

/// Errors in the configuration of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidResource {
    /// No authorization server is named (RFC 9728 §2; MCP requires at least one).
    NoAuthorizationServer,
    /// No metadata URL can be formed from the identifier of the resource.
    Uri(InvalidUri),
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthorizationServer => f.write_str(
                "the resource names no authorization server: pass at least one issuer (RFC 9728 §2)",
            ),
            Self::Uri(rule) => {
                write!(f, "the URL of the resource's metadata {rule}; choose another identifier of the resource")
            }
        }
    }
}

impl core::error::Error for InvalidResource {}

/// Protected resource: an MCP server with its metadata and settings.
///
/// Responses describe the resource by this configuration only, so a forged `Host` header has no effect on them.
///
/// # Examples
///
/// ```
/// use oauth_types::{Issuer, ResourceUri};
/// use resource_server::Resource;
///
/// let uri = ResourceUri::parse("https://mcp.example/mcp")?;
/// let resource = Resource::new(uri, vec![Issuer::parse("https://as.example")?])?;
/// let paths: Vec<_> = resource.metadata_paths().collect();
/// assert_eq!(paths[0], "/.well-known/oauth-protected-resource/mcp");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Resource {
    metadata: ProtectedResourceMetadata,
    metadata_url: EndpointUrl,
    root_url: EndpointUrl,
    challenged: ScopeSet,
    hosts: Hosts,
    #[cfg(feature = "dpop")]
    proof_rules: ProofRules,
}

impl Resource {
    /// Creates a resource that accepts tokens of these authorization servers.
    ///
    /// # Errors
    ///
    /// [`InvalidResource`] if there is no authorization server, or if no well-known URL can be formed.
    pub fn new(
        uri: ResourceUri,
        authorization_servers: Vec<Issuer>,
    ) -> Result<Self, InvalidResource> {
        if authorization_servers.is_empty() {
            return Err(InvalidResource::NoAuthorizationServer);
        }
        Ok(Self {
            metadata_url: protected_resource_url(&uri).map_err(InvalidResource::Uri)?,
            root_url: protected_resource_root_url(&uri).map_err(InvalidResource::Uri)?,
            challenged: ScopeSet::empty(),
            hosts: Hosts::of(uri.origin()),
            #[cfg(feature = "dpop")]
            proof_rules: ProofRules::default(),
            metadata: ProtectedResourceMetadata::new(uri, authorization_servers),
        })
    }

    /// Sets `scopes_supported` in the metadata, in reverse order and without `offline_access`.
    ///
    /// Pass the scopes of every request first, as [`OperationScopes::all`](crate::OperationScopes::all) returns them.
    /// `offline_access` concerns only client and authorization server. The order is reversed because of a fault in some
    /// clients, which take a step-up for this list.
    #[must_use]
    pub fn with_scopes_listed(mut self, scopes: &ScopeSet) -> Self {
        // R-PRM-2
        let listed = scopes.iter().filter(|scope| *scope != Scope::OFFLINE_ACCESS);
        let mut listed: Vec<_> = listed.map(str::to_owned).collect();
        // mcp-remote 0.15 compares the joined scopes of a step-up with this joined list. If they are equal, it takes
        // them for its own default and requests the scopes of the first 401 again, without end. Its step-ups begin with
        // the scopes of the 401, which a table names first, so the list begins with its last scope.
        listed.reverse();
        self.metadata.scopes_supported = Some(listed);
        self
    }

    /// Adds scopes to the challenge of every 401, beside those that the request needs (RFC 6750 §3).
    ///
    /// For clients without step-up, which request only the scopes of the 401 and fail at the first operation that needs
    /// another. Name the scopes of daily use and leave rare or dangerous ones to the 403, because every user is asked
    /// to consent to all scopes named here.
    ///
    /// ```
    /// # use oauth_types::{Issuer, ResourceUri};
    /// # use resource_server::{OperationScopes, Resource};
    /// # let (uri, issuers) = (ResourceUri::parse("https://mcp.example/mcp")?, vec![Issuer::parse("https://as.example")?]);
    /// let scopes = OperationScopes::new("files:read")?
    ///     .tool("write-file", "files:write")?
    ///     .tool("delete-everything", "files:admin")?;
    /// let everyday = oauth_types::ScopeSet::parse("files:read files:write")?;
    /// let resource = Resource::new(uri, issuers)?.with_scopes_challenged(&everyday);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_scopes_challenged(mut self, scopes: &ScopeSet) -> Self {
        self.challenged = scopes.clone();
        self
    }

    /// Sets `resource_name` in the metadata, a name for people (RFC 9728 §2).
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.metadata.resource_name = Some(name.into());
        self
    }

    /// Adds a host name that is accepted in `Host` and `Origin`, given without a port.
    ///
    /// Without this setting, a server at a loopback address accepts only loopback names, which prevents DNS rebinding.
    /// Any other server accepts every name until one is added; then it accepts its own name and those added.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] if the text is not a host name; a scheme, port or path is not part of one.
    pub fn with_host(mut self, host: &str) -> Result<Self, InvalidUri> {
        self.hosts = self.hosts.with_name(host)?;
        Ok(self)
    }

    /// Sets the origins whose pages may call the server and read its responses (CORS).
    ///
    /// By default, these are the pages on the user's own machine.
    ///
    /// The check against DNS rebinding uses the same list: an origin on it is accepted in `Origin`. The list does not
    /// admit any other origin.
    #[must_use]
    pub fn with_browser_origins(mut self, origins: BrowserOrigins) -> Self {
        self.hosts = self.hosts.with_browser_origins(origins);
        self
    }

    /// Returns `true` if pages of this origin may read responses.
    #[must_use]
    pub fn is_open_to(&self, origin: &str) -> bool {
        self.hosts.is_open_to(origin)
    }

    /// Returns the host names that requests may use, without ports.
    ///
    /// They are the resource's own name, the names added, and the loopback names, which a proxy on the same machine
    /// uses. Pass them to a service that checks `Host` itself:
    /// `StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names())` lets rmcp accept the public
    /// name.
    pub fn host_names(&self) -> impl Iterator<Item = String> {
        self.hosts.names().map(|name| name.trim_matches(['[', ']']).to_owned())
    }

    #[cfg(feature = "dpop")]
    pub(crate) const fn proof_rules(&self) -> &ProofRules {
        &self.proof_rules
    }

    /// Parses an authentication scheme; `None` if this resource does not accept it.
    pub(crate) fn scheme(&self, name: &[u8]) -> Option<TokenType> {
        if name.eq_ignore_ascii_case(b"Bearer") {
            return Some(TokenType::Bearer);
        }
        let is_dpop = self.speaks_dpop() && name.eq_ignore_ascii_case(b"DPoP");
        is_dpop.then_some(TokenType::Dpop)
    }

    /// Returns `true` if DPoP proofs are read, which requires the feature `dpop`.
    pub(crate) const fn speaks_dpop(&self) -> bool {
        self.metadata.dpop_signing_alg_values_supported.is_some()
    }

    /// Returns `true` if every token must be bound to a key.
    pub(crate) const fn requires_dpop(&self) -> bool {
        self.metadata.dpop_bound_access_tokens_required
    }

    pub(crate) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Returns the resource identifier, which is the audience of its tokens.
    #[must_use]
    pub const fn uri(&self) -> &ResourceUri {
        &self.metadata.resource
    }

    /// Returns the protected resource metadata (RFC 9728 §2).
    #[must_use]
    pub const fn metadata(&self) -> &ProtectedResourceMetadata {
        &self.metadata
    }

    /// Returns the URL of the metadata, which every challenge contains.
    #[must_use]
    pub const fn metadata_url(&self) -> &EndpointUrl {
        &self.metadata_url
    }

    /// Returns the paths of the metadata: the path-inserted one, and the root path if it differs.
    pub fn metadata_paths(&self) -> impl Iterator<Item = &str> {
        // R-PRM-1
        let (own, root) = (self.metadata_url.path(), self.root_url.path());
        core::iter::once(own).chain((root != own).then_some(root))
    }

    /// Returns the scopes for a challenge, given those that the request needs.
    pub(crate) fn scopes_challenged(&self, required: &ScopeSet) -> ScopeSet {
        // If the union exceeds the limits of a set, only the scopes that the request needs are named.
        let scopes = required.union(&self.challenged);
        // R-PRM-2: `offline_access` concerns only client and authorization server.
        scopes.as_ref().unwrap_or(required).filter(|scope| scope != Scope::OFFLINE_ACCESS)
    }

    /// Creates a challenge that contains only the metadata URL.
    pub(crate) fn challenge(&self) -> BearerChallenge {
        BearerChallenge::new().with_resource_metadata(self.metadata_url.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-PRM-2
    #[test]
    fn the_host_may_challenge_more_scopes_but_no_offline_access() {
        let issuer = Issuer::parse("https://as.example").unwrap();
        let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let resource = Resource::new(uri, vec![issuer]).unwrap();
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        assert_eq!(resource.scopes_challenged(&set("r offline_access")).as_str(), "r");
        let more = resource.with_scopes_challenged(&set("r w offline_access"));
        assert_eq!(more.scopes_challenged(&set("r")).as_str(), "r w");
        assert_eq!(more.scopes_challenged(&set("x r")).as_str(), "x r w");
        // Added scopes are omitted if they exceed the limits of a challenge; those that the request needs remain.
        let many: Vec<String> =
            (0..ScopeSet::MAX_SCOPES).map(|scope| format!("s{scope}")).collect();
        let many = set(&many.join(" "));
        assert_eq!(more.scopes_challenged(&many), many);
    }

    /// R-AUTH-1
    #[test]
    fn the_challenge_of_a_401_names_them() {
        let issuer = Issuer::parse("https://as.example").unwrap();
        let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        let resource = Resource::new(uri, vec![issuer]).unwrap().with_scopes_challenged(&set("w"));
        let anonymous = http::Request::post("/mcp").body(()).unwrap();
        let response = resource.present(&anonymous, &set("r")).unwrap_err().into_response();
        let challenge = response.headers()[http::header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("scope=\"r w\""), "{challenge}");
    }
}
