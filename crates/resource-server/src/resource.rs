//! The resource that is protected: from configuration, never from a request.

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

/// Why a configuration is not a protected resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidResource {
    /// It names no authorization server (RFC 9728 §2; MCP asks for at least one).
    NoAuthorizationServer,
    /// Its metadata has no URL.
    Uri(InvalidUri),
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthorizationServer => f.write_str("a resource needs an authorization server"),
            Self::Uri(rule) => write!(f, "the URL of the resource's metadata {rule}"),
        }
    }
}

impl core::error::Error for InvalidResource {}

/// A protected MCP server.
///
/// All that it says about itself comes from here: a spoofed `Host` moves nothing.
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
    /// A resource that takes the tokens of these authorization servers.
    ///
    /// # Errors
    ///
    /// [`InvalidResource`] when there is no server, or no room for a well-known URL.
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

    /// Lists these scopes in the metadata, the last one first: some clients mistake a step-up for the list. Scopes of
    /// every request belong at the beginning, as [`OperationScopes::all`](crate::OperationScopes::all) has them.
    /// `offline_access` is left out: refresh tokens are between client and authorization server.
    #[must_use]
    pub fn with_scopes_listed(mut self, scopes: &ScopeSet) -> Self {
        // R-PRM-2
        let listed = scopes.iter().filter(|scope| *scope != Scope::OFFLINE_ACCESS);
        let mut listed: Vec<_> = listed.map(str::to_owned).collect();
        // mcp-remote 0.15 takes a step-up whose scopes, joined, are this list, joined, for its own default: it asks
        // for the scopes of the first 401 again, and is refused for ever. Its step-ups begin with those of the 401, which
        // a table names first, so the list begins with its end.
        listed.reverse();
        self.metadata.scopes_supported = Some(listed);
        self
    }

    /// Names these scopes in every 401, beside those that the request needs (RFC 6750 §3).
    ///
    /// For clients that cannot step up: they ask for the scopes of the 401 and for no more, and fail at the first
    /// operation that needs another. Name what a user of such a client does every day, and leave to the 403 what is
    /// rare or dangerous: each user is asked to agree to all scopes that stand here.
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

    /// Gives it a name for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.metadata.resource_name = Some(name.into());
        self
    }

    /// Adds a host that the server answers to, given without a port, in `Host` and `Origin`.
    ///
    /// A server at a loopback address answers to loopback names if nothing else is said, so that no page reaches it by
    /// rebinding its DNS name. Any other answers to every name until it is told one; then to its own host and those.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] when it is no host: a scheme, a port or a path is not part of one.
    pub fn answering_to(mut self, host: &str) -> Result<Self, InvalidUri> {
        self.hosts = self.hosts.with_name(host)?;
        Ok(self)
    }

    /// Lets pages of these origins call, and read the answers (CORS). If nothing is said, pages on the user's own
    /// machine may.
    ///
    /// The list is one with the check of `Origin` that keeps out rebound names: an origin on it passes, and no other
    /// does that did not before.
    #[must_use]
    pub fn with_browser_origins(mut self, origins: BrowserOrigins) -> Self {
        self.hosts = self.hosts.with_browser_origins(origins);
        self
    }

    /// Returns `true` if pages of this origin may read answers.
    #[must_use]
    pub fn is_open_to(&self, origin: &str) -> bool {
        self.hosts.is_open_to(origin)
    }

    /// Host names that requests may arrive under, without ports: its own, those that it was told, and those of
    /// loopback, by which a proxy on the same machine connects. For a service with a check of `Host` of its own:
    /// `StreamableHttpServerConfig::default().with_allowed_hosts(resource.host_names())` lets rmcp answer at the
    /// resource's public name.
    pub fn host_names(&self) -> impl Iterator<Item = String> {
        self.hosts.names().map(|name| name.trim_matches(['[', ']']).to_owned())
    }

    #[cfg(feature = "dpop")]
    pub(crate) const fn proof_rules(&self) -> &ProofRules {
        &self.proof_rules
    }

    /// The scheme of this name, if this resource reads it.
    pub(crate) fn scheme(&self, name: &[u8]) -> Option<TokenType> {
        if name.eq_ignore_ascii_case(b"Bearer") {
            return Some(TokenType::Bearer);
        }
        let is_dpop = self.speaks_dpop() && name.eq_ignore_ascii_case(b"DPoP");
        is_dpop.then_some(TokenType::Dpop)
    }

    /// Whether proofs are read. Only the feature `dpop` switches that on.
    pub(crate) const fn speaks_dpop(&self) -> bool {
        self.metadata.dpop_signing_alg_values_supported.is_some()
    }

    /// Whether every token has to be bound to a key.
    pub(crate) const fn requires_dpop(&self) -> bool {
        self.metadata.dpop_bound_access_tokens_required
    }

    pub(crate) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Its identifier, which is the audience of its tokens.
    #[must_use]
    pub const fn uri(&self) -> &ResourceUri {
        &self.metadata.resource
    }

    /// What it says about itself (RFC 9728 §2).
    #[must_use]
    pub const fn metadata(&self) -> &ProtectedResourceMetadata {
        &self.metadata
    }

    /// Where it says so, and what every challenge points to.
    #[must_use]
    pub const fn metadata_url(&self) -> &EndpointUrl {
        &self.metadata_url
    }

    /// The paths to serve the metadata at: the path-inserted one, and the root one when it differs.
    pub fn metadata_paths(&self) -> impl Iterator<Item = &str> {
        // R-PRM-1
        let (own, root) = (self.metadata_url.path(), self.root_url.path());
        core::iter::once(own).chain((root != own).then_some(root))
    }

    /// The scopes that a client without a good token is told to ask for, if the request needs `required`.
    pub(crate) fn scopes_challenged(&self, required: &ScopeSet) -> ScopeSet {
        // Beyond the bounds of a set, what the request needs is named alone.
        let scopes = required.union(&self.challenged);
        // R-PRM-2: refresh tokens are between client and authorization server.
        scopes.as_ref().unwrap_or(required).filter(|scope| scope != Scope::OFFLINE_ACCESS)
    }

    /// A challenge that points to the metadata and says nothing else yet.
    pub(crate) fn challenge(&self) -> BearerChallenge {
        BearerChallenge::new().with_resource_metadata(self.metadata_url.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_prm_2_more_scopes_are_challenged_where_the_host_says_so_and_never_offline_access() {
        let issuer = Issuer::parse("https://as.example").unwrap();
        let uri = ResourceUri::parse("https://rs.example/mcp").unwrap();
        let resource = Resource::new(uri, vec![issuer]).unwrap();
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        assert_eq!(resource.scopes_challenged(&set("r offline_access")).as_str(), "r");
        let more = resource.with_scopes_challenged(&set("r w offline_access"));
        assert_eq!(more.scopes_challenged(&set("r")).as_str(), "r w");
        assert_eq!(more.scopes_challenged(&set("x r")).as_str(), "x r w");
        // What does not fit into a challenge is left out; what the request needs is not.
        let many: Vec<String> =
            (0..ScopeSet::MAX_SCOPES).map(|scope| format!("s{scope}")).collect();
        let many = set(&many.join(" "));
        assert_eq!(more.scopes_challenged(&many), many);
    }

    #[test]
    fn r_auth_1_the_challenge_of_a_401_names_them() {
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
