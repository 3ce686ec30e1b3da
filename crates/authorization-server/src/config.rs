//! Configuration of the authorization server: one for all endpoints and the metadata, checked when it is built.

mod auth_methods;
mod error;
#[cfg(feature = "jwt")]
mod identity_provider;
mod lifetimes;
mod paths;
mod resource_server;

use core::time::Duration;

use iss_validate::IssuerIdentification;
use oauth_types::{
    AuthMethod, ClientId, EndpointUrl, Hosts, Issuer, RedirectUri, ResourceUri, ScopeSet,
    authorization_server_urls,
};

pub use self::error::InvalidConfig;
#[cfg(feature = "jwt")]
pub use self::identity_provider::IdentityProvider;
pub use self::lifetimes::Lifetimes;
pub use self::paths::Paths;
pub use self::resource_server::ResourceServer;

use self::auth_methods::AUTH_METHODS;
use crate::seal::Seals;
use crate::server_keys::ServerKeys;
#[cfg(feature = "jwt")]
use crate::signing_keys::SigningKeys;

/// Configuration of an authorization server.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) issuer: Issuer,
    pub(crate) identification: IssuerIdentification,
    pub(crate) resources: Vec<ResourceUri>,
    pub(crate) scopes: ScopeSet,
    pub(crate) default_scope: Option<ScopeSet>,
    pub(crate) hosts: Hosts,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) server_keys: ServerKeys,
    pub(crate) private_use_redirects: bool,
    pub(crate) private_use_schemes: Vec<Box<str>>,
    pub(crate) auth_methods: Vec<AuthMethod>,
    pub(crate) remembered_consent: Option<Duration>,
    pub(crate) remembered_clients: Vec<ClientId>,
    pub(crate) client_documents: bool,
    pub(crate) authorize: EndpointUrl,
    pub(crate) token: EndpointUrl,
    pub(crate) register: EndpointUrl,
    pub(crate) revoke: EndpointUrl,
    pub(crate) introspect: EndpointUrl,
    /// URLs of the metadata (RFC 8414 §3).
    pub(crate) documents: Vec<EndpointUrl>,
    pub(crate) resource_servers: Vec<ResourceServer>,
    #[cfg(feature = "dpop")]
    pub(crate) asks_for_nonces: bool,
    #[cfg(feature = "jwt")]
    pub(crate) signing_keys: Option<SigningKeys>,
    #[cfg(feature = "jwt")]
    pub(crate) jwks: EndpointUrl,
    #[cfg(feature = "jwt")]
    pub(crate) identity_providers: Vec<IdentityProvider>,
}

impl Config {
    /// Creates the configuration of a server for these resources and scopes.
    ///
    /// The server names itself on every authorization response (`iss`, RFC 9207).
    ///
    /// Put the scope first that every client needs: a client that requests no scope gets this one, unless
    /// [`with_default_scope`](Self::with_default_scope) sets others.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] when there is no resource, or when a URL of an endpoint or of the metadata cannot be made from
    /// the issuer.
    pub fn new(
        issuer: Issuer,
        resources: Vec<ResourceUri>,
        scopes: ScopeSet,
        server_keys: ServerKeys,
    ) -> Result<Self, InvalidConfig> {
        if resources.is_empty() {
            return Err(InvalidConfig::NoResource);
        }
        // The consent page sends no Referer, so browsers give its form the origin `null`.
        let hosts = Hosts::of(issuer.origin()).with_null_origin();
        let base = issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str());
        let endpoint = |name: &str| {
            EndpointUrl::parse(&format!("{base}/{name}")).map_err(InvalidConfig::Endpoint)
        };
        Ok(Self {
            authorize: endpoint("authorize")?,
            token: endpoint("token")?,
            register: endpoint("register")?,
            revoke: endpoint("revoke")?,
            introspect: endpoint("introspect")?,
            documents: authorization_server_urls(&issuer).map_err(InvalidConfig::Endpoint)?,
            #[cfg(feature = "dpop")]
            asks_for_nonces: false,
            #[cfg(feature = "jwt")]
            signing_keys: None,
            #[cfg(feature = "jwt")]
            jwks: endpoint("jwks")?,
            resource_servers: Vec::new(),
            #[cfg(feature = "jwt")]
            identity_providers: Vec::new(),
            identification: IssuerIdentification::Emit(issuer.clone()),
            hosts,
            issuer,
            resources,
            scopes,
            default_scope: None,
            lifetimes: Lifetimes::default(),
            server_keys,
            private_use_redirects: false,
            private_use_schemes: Vec::new(),
            auth_methods: AUTH_METHODS.to_vec(),
            remembered_consent: None,
            remembered_clients: Vec::new(),
            client_documents: false,
        })
    }

    /// Leaves `iss` (RFC 9207) to an upstream server whose callbacks clients get.
    ///
    /// Neither the parameter nor the metadata flag is set.
    #[must_use]
    pub fn with_issuer_left_to_upstream(mut self) -> Self {
        // A-AUTHZ-5
        self.identification = IssuerIdentification::Omit;
        self
    }

    /// Accepts redirect URIs of every private-use scheme that is a reversed domain name.
    ///
    /// An example is `com.example.app:/cb` (RFC 8252 §7.1). Any application on the user's machine can claim such a
    /// scheme, so they are refused by default. For schemes of another form:
    /// [`with_private_use_schemes`](Self::with_private_use_schemes).
    #[must_use]
    pub const fn with_private_use_redirects(mut self) -> Self {
        self.private_use_redirects = true;
        self
    }

    /// Accepts redirect URIs of these private-use schemes, whatever their form.
    ///
    /// Editors use `cursor://`, `vscode://` and others.
    ///
    /// Any application on the user's machine can claim such a scheme and receive the code, which is worthless without
    /// the PKCE verifier. The consent page warns of it, and the user is asked every time. Schemes that run code, read
    /// files or belong to browsers (`javascript`, `data`, `file`, `https`, ...) cannot be listed.
    ///
    /// ```
    /// use authorization_server::{Config, InvalidConfig};
    ///
    /// fn for_editors(config: Config) -> Result<Config, InvalidConfig> {
    ///     config.with_private_use_schemes(["cursor", "vscode", "vscode-insiders", "windsurf"])
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::PrivateUseScheme`] when a scheme is malformed, or no application can own it.
    pub fn with_private_use_schemes<T: AsRef<str>>(
        mut self,
        schemes: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidConfig> {
        for scheme in schemes {
            let scheme = scheme.as_ref();
            if !RedirectUri::is_private_use_scheme(scheme) {
                return Err(InvalidConfig::PrivateUseScheme);
            }
            self.private_use_schemes.push(scheme.into());
        }
        Ok(self)
    }

    /// Returns `true` if the scheme of this redirect URI is allowed.
    pub(crate) fn allows_scheme_of(&self, uri: &RedirectUri) -> bool {
        uri.private_use_scheme().is_none_or(|scheme| {
            (self.private_use_redirects && scheme.contains('.'))
                || self.private_use_schemes.iter().any(|own| **own == *scheme)
        })
    }

    /// Remembers consents for this long, so that a user is not asked the same again.
    ///
    /// A remembered consent counts for clients that authenticate at the token endpoint. Where a client's identity
    /// cannot be assured, the user is asked every time: see [`ConsentLookup`](crate::ConsentLookup).
    #[must_use]
    pub const fn with_remembered_consent(mut self, lifetime: Duration) -> Self {
        self.remembered_consent = Some(lifetime);
        self
    }

    /// Lets remembered consents count for this public client too.
    ///
    /// Otherwise they count only for clients that authenticate
    /// ([`with_remembered_consent`](Self::with_remembered_consent)).
    ///
    /// Name a client only if it runs on a site of its own and checks the issuer of every response (RFC 9207): an
    /// attacker that makes the client mix this server up with another one receives a code without the user noticing.
    /// The users of clients on their own machine (loopback and private-use redirect URIs) are asked every time, named
    /// or not.
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use authorization_server::Config;
    /// use oauth_types::{ClientId, InvalidClientId};
    ///
    /// fn for_dashboard(config: Config) -> Result<Config, InvalidClientId> {
    ///     let config = config.with_remembered_consent(Duration::from_secs(30 * 86_400));
    ///     Ok(config.with_remembered_client(ClientId::parse("https://dashboard.example/client.json")?))
    /// }
    /// ```
    #[must_use]
    pub fn with_remembered_client(mut self, client_id: ClientId) -> Self {
        self.remembered_clients.push(client_id);
        self
    }

    /// Accepts clients that are identified by the URL of their metadata document.
    ///
    /// They need no registration (client ID metadata documents), and the metadata announces them. The host must be able
    /// to fetch a document at every look-up of a client ([`client_document`](Self::client_document)).
    #[must_use]
    pub const fn with_client_documents(mut self) -> Self {
        // A-CIMD-1, A-META-4
        self.client_documents = true;
        self
    }

    /// Reverts [`with_client_documents`](Self::with_client_documents).
    ///
    /// It is for a host that cannot fetch documents.
    #[must_use]
    pub const fn without_client_documents(mut self) -> Self {
        self.client_documents = false;
        self
    }

    /// Lets this resource server introspect the tokens that are for it (RFC 7662).
    ///
    /// Without a resource server there is no introspection endpoint.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::ResourceServer`] when it is named twice, or authenticates by its identifier alone.
    pub fn with_resource_server(mut self, server: ResourceServer) -> Result<Self, InvalidConfig> {
        // A-INT-1: the caller must be authenticated (RFC 7662 §2.1).
        let is_known = self.resource_servers.iter().any(|own| own.client_id == server.client_id);
        if is_known || server.authentication.method == AuthMethod::None {
            return Err(InvalidConfig::ResourceServer);
        }
        self.resource_servers.push(server);
        Ok(self)
    }

    /// Accepts identity assertions (ID-JAG) of this identity provider.
    ///
    /// Only clients that the operator put into the store may use them
    /// ([`ClientRecord::id_jag`](crate::ClientRecord::id_jag)). The provider's claims about its users
    /// are trusted: within the resources and scopes of this configuration it decides.
    ///
    /// The subject of such a token is the provider's issuer, `#`, and its `sub`, so that the users of two providers
    /// never coincide. Let no login of your own give out subjects of that form. Claims about tenants are not trusted
    /// from a provider that serves several of them under one issuer.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::IdentityProvider`] when it is named twice, or is this server.
    #[cfg(feature = "jwt")]
    pub fn with_identity_provider(
        mut self,
        provider: IdentityProvider,
    ) -> Result<Self, InvalidConfig> {
        let is_known = self.identity_providers.iter().any(|own| own.issuer == provider.issuer);
        // A server that accepts its own assertions could widen its own grants (the draft's §8, cross-domain use).
        if is_known || provider.issuer == self.issuer {
            return Err(InvalidConfig::IdentityProvider);
        }
        self.identity_providers.push(provider);
        Ok(self)
    }

    /// Returns `true` if assertions of any identity provider are accepted.
    #[cfg_attr(
        not(feature = "jwt"),
        expect(
            clippy::unused_self,
            reason = "asks the configuration where there is something to ask"
        )
    )]
    pub(crate) const fn takes_identity_assertions(&self) -> bool {
        #[cfg(feature = "jwt")]
        return !self.identity_providers.is_empty();
        #[cfg(not(feature = "jwt"))]
        return false;
    }

    /// Makes access tokens JWTs (RFC 9068), signed with these keys.
    ///
    /// Resource servers can verify them by the keys that the metadata points to, without introspection. Their lifetime
    /// is that of other tokens.
    ///
    /// They are stored like other tokens, so look-up, introspection and revocation work in the same way. But a resource
    /// server that checks the signature alone accepts a revoked token until it expires: give tokens a short lifetime.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn with_jwt_access_tokens(mut self, keys: SigningKeys) -> Self {
        self.signing_keys = Some(keys);
        self
    }

    /// Requires a nonce of this server in every DPoP proof (RFC 9449 §8).
    ///
    /// So a proof is worthless if an attacker made it ahead, while holding the key for a moment. A client gets a nonce
    /// with its first refusal, and repeats the request; the nonce is valid for five minutes, at every process with the
    /// same [`ServerKeys`].
    #[cfg(feature = "dpop")]
    #[must_use]
    pub const fn with_dpop_nonces(mut self) -> Self {
        self.asks_for_nonces = true;
        self
    }

    /// Returns the seals of this issuer.
    pub(crate) const fn seals(&self) -> Seals<'_> {
        Seals { keys: &self.server_keys, issuer: &self.issuer }
    }

    /// Returns the URL of the public keys, if access tokens are signed.
    #[cfg_attr(
        not(feature = "jwt"),
        expect(
            clippy::unused_self,
            reason = "asks the configuration where there is something to ask"
        )
    )]
    pub(crate) fn jwks_uri(&self) -> Option<&EndpointUrl> {
        #[cfg(feature = "jwt")]
        return self.signing_keys.as_ref().map(|_| &self.jwks);
        #[cfg(not(feature = "jwt"))]
        return None;
    }

    /// Returns the introspection endpoint, if there is a resource server.
    pub(crate) fn introspection_endpoint(&self) -> Option<&EndpointUrl> {
        (!self.resource_servers.is_empty()).then_some(&self.introspect)
    }

    /// Sets the lifetimes of codes, tokens, grants and clients.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Lifetime`] when a lifetime other than `grace` is below a second, `code` above 10 minutes, or
    /// `grace` above 60 seconds.
    pub fn with_lifetimes(mut self, lifetimes: Lifetimes) -> Result<Self, InvalidConfig> {
        let Lifetimes { code, access_token, refresh_absolute, refresh_inactivity, .. } = lifetimes;
        let Lifetimes { refresh_grace: grace, unused_client, .. } = lifetimes;
        let second = Duration::from_secs(1);
        let some = [code, access_token, refresh_absolute, refresh_inactivity, unused_client];
        if some.iter().any(|lifetime| *lifetime < second)
            || code > Duration::from_secs(600)
            || grace > Duration::from_secs(60)
        {
            return Err(InvalidConfig::Lifetime);
        }
        self.lifetimes = lifetimes;
        Ok(self)
    }

    /// Returns the issuer identifier.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Returns the paths at which a router mounts the endpoints.
    #[must_use]
    pub fn paths(&self) -> Paths {
        let path = |url: &EndpointUrl| url.path().to_owned();
        Paths {
            authorize: path(&self.authorize),
            consent: format!("{}/consent", self.authorize.path()),
            token: path(&self.token),
            register: path(&self.register),
            revoke: path(&self.revoke),
            jwks: self.jwks_uri().map(path),
            introspect: self.introspection_endpoint().map(path),
            metadata: self.documents.iter().map(path).collect(),
        }
    }
}
