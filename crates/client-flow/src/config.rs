//! Client configuration: grant, credentials, metadata, pinned issuers and server profiles.

use client_auth::ClientCredentials;
#[cfg(feature = "dpop")]
use client_auth::ProofKey;
#[cfg(feature = "jwt")]
use client_auth::SigningKey;
use oauth_types::{
    ClientMetadata, ClientMetadataUrl, EndpointUrl, GrantType, Issuer, RedirectUri, ResourceUri,
    UnixTime,
};

use crate::keys::Keys;
use crate::profile::ServerProfile;
use crate::session::{Account, StoredCredentials, Tokens};

/// Grant by which the client obtains tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Grant {
    /// The authorization code grant (RFC 6749 §4.1): the resource owner consents in a browser.
    AuthorizationCode {
        /// The redirect URI, on a loopback host for installed programs (RFC 8252 §7.3).
        redirect_uri: RedirectUri,
    },
    /// The client credentials grant (RFC 6749 §4.4), with pre-registered credentials and without a user.
    ClientCredentials,
    /// An assertion of the workload's platform (RFC 7523 §2.1).
    WorkloadIdentity,
    /// An identity assertion (MCP enterprise-managed authorization).
    ///
    /// The enterprise's identity provider exchanges the user's ID token for an assertion (RFC 8693), which the
    /// authorization server takes for tokens (RFC 7523 §2.1).
    EnterpriseManaged(IdentityProvider),
}

impl Grant {
    /// Returns `true` if the grant sends the user to a browser.
    pub(crate) const fn needs_browser(&self) -> bool {
        matches!(self, Self::AuthorizationCode { .. })
    }

    /// Returns the `grant_type` of the token request.
    pub(crate) const fn kind(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::WorkloadIdentity | Self::EnterpriseManaged(_) => GrantType::JwtBearer,
        }
    }
}

/// Identity provider of an enterprise, as its administrator describes it to the client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// Issuer of the provider and of its ID tokens.
    pub issuer: Issuer,
    /// Token endpoint for the token exchange (RFC 8693 §2).
    pub token_endpoint: EndpointUrl,
    /// Credentials of this client at the provider.
    pub client: ClientCredentials,
}

impl IdentityProvider {
    /// Creates a provider.
    #[must_use]
    pub const fn new(
        issuer: Issuer,
        token_endpoint: EndpointUrl,
        client: ClientCredentials,
    ) -> Self {
        Self { issuer, token_endpoint, client }
    }
}

/// Configuration of a client; everything else is discovered from the server.
///
/// # Examples
///
/// ```
/// use client_flow::ClientConfig;
/// use oauth_types::RedirectUri;
///
/// let redirect_uri = RedirectUri::parse("http://127.0.0.1:8765/callback")?;
/// let config = ClientConfig::new("My application", redirect_uri);
/// assert_eq!(config.client_name, "My application");
/// assert!(config.pre_registered.is_empty());
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Name that users see on a consent page.
    pub client_name: String,
    /// Grant by which the client obtains tokens.
    pub grant: Grant,
    /// Pre-registered credentials, each for exactly one authorization server.
    pub pre_registered: Vec<(Issuer, ClientCredentials)>,
    /// URL of this client's metadata document, used where the server supports such documents.
    pub metadata_url: Option<ClientMetadataUrl>,
    /// URL at which the host publishes this client's keys (`jwks_uri`, RFC 7591 §2).
    ///
    /// Registrations and the metadata document name this URL instead of the keys, so that keys change without another
    /// registration. Ignored without a signing key.
    pub keys_url: Option<EndpointUrl>,
    /// Metadata to register, sent unchanged; by default it follows from the configuration.
    ///
    /// After a refusal, set it to a changed copy of the metadata in
    /// [`RegistrationError::Rejected`](crate::RegistrationError::Rejected).
    pub registration: Option<ClientMetadata>,
    /// Issuers to trust for a resource (and all below it) whose documents name another one.
    ///
    /// Such documents misspell the issuer by a slash or a letter's case, or name a tenant where the server's metadata
    /// names the whole vendor.
    ///
    /// The metadata is fetched from the well-known URLs of the pinned issuer and, where those have none, from those of
    /// the issuers on the same origin that the resource names. The metadata has to name the pinned issuer: no setting
    /// turns this comparison off.
    pub pinned_issuers: Vec<(ResourceUri, Issuer)>,
    /// Profiles of authorization servers, each for exactly one issuer.
    ///
    /// [`with_server_profile`](Self::with_server_profile) adds them.
    pub server_profiles: Vec<(Issuer, ServerProfile)>,
    /// Requests a refresh token where the server lists `offline_access`.
    pub wants_refresh_token: bool,
    /// Allows a server on the network to name URLs at addresses of this machine or its network.
    ///
    /// Unnecessary for a server that is at such an address itself.
    pub allows_local_addresses: bool,
    pub(crate) keys: Keys,
}

impl ClientConfig {
    /// Creates a client that acts for users and registers itself with each authorization server.
    #[must_use]
    pub fn new(client_name: impl Into<String>, redirect_uri: RedirectUri) -> Self {
        Self::with(client_name.into(), Grant::AuthorizationCode { redirect_uri }, Vec::new())
    }

    /// Creates a client for the client credentials grant (RFC 6749 §4.4).
    ///
    /// The operator of the authorization server issued the credentials.
    #[must_use]
    pub fn client_credentials(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
    ) -> Self {
        Self::with(client_name.into(), Grant::ClientCredentials, vec![(issuer, credentials)])
    }

    /// Creates a client for a workload, whose platform's tokens this authorization server trusts.
    #[must_use]
    pub fn workload_identity(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
    ) -> Self {
        Self::with(client_name.into(), Grant::WorkloadIdentity, vec![(issuer, credentials)])
    }

    /// Creates a client for users of an enterprise, authorized by its identity provider.
    ///
    /// The operator of the authorization server issued the credentials.
    #[must_use]
    pub fn id_jag(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
        provider: IdentityProvider,
    ) -> Self {
        let grant = Grant::EnterpriseManaged(provider);
        Self::with(client_name.into(), grant, vec![(issuer, credentials)])
    }

    /// Sets the key that signs client assertions (RFC 7523 §2.2).
    ///
    /// Used with credentials of
    /// [`ClientCredentials::with_assertions`](client_auth::ClientCredentials::with_assertions).
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn with_signing_key(mut self, key: SigningKey) -> Self {
        self.keys.assertion = Some(key);
        self
    }

    /// Returns the JSON key set to serve at [`keys_url`](Self::keys_url) (RFC 7517 §5).
    ///
    /// `None` without a signing key, or for an Ed25519 key, whose public half is unknown here.
    ///
    /// # Examples
    ///
    /// ```
    /// use client_auth::SigningKey;
    /// use client_flow::ClientConfig;
    /// use oauth_types::{EndpointUrl, RedirectUri, SigningAlgorithm};
    ///
    /// # let pem = include_str!("../../client-auth/tests/keys/es256.pem");
    /// let key = SigningKey::from_pem(SigningAlgorithm::Es256, pem)?.with_id("2026-11");
    /// let mut config = ClientConfig::new("Notes", RedirectUri::parse("http://127.0.0.1/callback")?)
    ///     .with_signing_key(key);
    /// config.keys_url = Some(EndpointUrl::parse("https://notes.example/keys.json")?);
    /// assert!(config.key_set().unwrap().contains("2026-11"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn key_set(&self) -> Option<String> {
        self.keys.key_set().map(|keys| keys.to_string())
    }

    /// Sets the DPoP key that tokens are bound to (RFC 9449).
    ///
    /// Tokens are bearer tokens where the authorization server does not support proofs of possession, and where it
    /// issues a bearer token nevertheless.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_proof_key(mut self, key: ProofKey) -> Self {
        self.keys.proof = Some(key);
        self
    }

    /// Sets the profile of exactly this issuer, compared byte for byte.
    ///
    /// Replaces an earlier profile of the issuer.
    ///
    /// ```
    /// # use client_flow::{ClientConfig, ServerProfile};
    /// # use oauth_types::{Issuer, RedirectUri, ScopeSet};
    /// # fn example(config: ClientConfig) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    /// let tenant = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0";
    /// let scope = ScopeSet::parse("api://my-server/.default")?;
    /// let config = config
    ///     .with_server_profile(Issuer::parse(tenant)?, ServerProfile::entra().with_scope(scope));
    /// # Ok(config)
    /// # }
    /// ```
    #[must_use]
    pub fn with_server_profile(mut self, issuer: Issuer, profile: ServerProfile) -> Self {
        self.server_profiles.retain(|(own, _)| *own != issuer);
        self.server_profiles.push((issuer, profile));
        self
    }

    /// Returns `true` if the record belongs to this client as it is configured now.
    ///
    /// A record belongs to another client if other credentials are pre-registered with the server now, or if its tokens
    /// were issued for another grant or are bound to another key.
    #[must_use]
    pub fn owns(&self, record: &StoredCredentials) -> bool {
        let (issuer, client) = (&record.account.server.issuer, &record.account.client);
        let is_ours = match self.registered_with(issuer) {
            Some(own) => own.client_id() == client.client_id(),
            // A client without a user cannot register itself.
            None => self.grant.needs_browser(),
        };
        let fits = |tokens: &Tokens| self.keys.fit(tokens) && tokens.grant == self.grant.kind();
        is_ours && record.tokens.as_ref().is_none_or(fits)
    }

    /// Returns `true` if the client of this account registered itself (RFC 7591) and can register again.
    pub(crate) fn registered_itself(&self, account: &Account) -> bool {
        self.grant.needs_browser()
            && self.registered_with(&account.server.issuer).is_none()
            // A `client_id` that is the URL of a metadata document comes from the configuration.
            && !account.client.client_id().as_str().starts_with("https://")
    }

    /// Returns `true` if the client of this account is registered with the configured redirect URI.
    ///
    /// Some servers do not allow another port of a loopback address (RFC 8252 §7.3).
    pub(crate) fn comes_back_to(&self, account: &Account) -> bool {
        match (&account.redirect_uri, &self.grant) {
            (Some(registered), Grant::AuthorizationCode { redirect_uri }) => {
                registered == redirect_uri
            }
            _ => true,
        }
    }

    /// Returns `true` if the record suffices for an authorization request without fetching metadata.
    pub(crate) fn is_current(&self, record: &StoredCredentials, now: UnixTime) -> bool {
        let account = &record.account;
        !record.client_refused
            && !account.server.are_old(now)
            && !account.client.has_expired(now)
            && self.comes_back_to(account)
    }

    /// Returns the account with the server profile and the credentials that are configured now.
    ///
    /// The operator may have replaced a secret.
    pub(crate) fn current(&self, mut account: Account) -> Account {
        if let Some(own) = self.registered_with(&account.server.issuer)
            && own.client_id() == account.client.client_id()
        {
            account.client = own.clone();
        }
        account.server.profile = self.profile_of(&account.server.issuer);
        account
    }

    /// Returns the credentials that are pre-registered with this issuer.
    pub(crate) fn registered_with(&self, issuer: &Issuer) -> Option<&ClientCredentials> {
        self.pre_registered.iter().find(|(own, _)| own == issuer).map(|(_, client)| client)
    }

    /// Returns the profile of this issuer.
    pub(crate) fn profile_of(&self, issuer: &Issuer) -> ServerProfile {
        let mut profiles = self.server_profiles.iter();
        profiles
            .find(|(own, _)| own == issuer)
            .map(|(_, profile)| profile.clone())
            .unwrap_or_default()
    }

    /// Returns the issuer that is pinned for this resource, or for the narrowest resource that covers it.
    pub(crate) fn pinned_for(&self, resource: &ResourceUri) -> Option<&Issuer> {
        let around = self.pinned_issuers.iter().filter(|(pinned, _)| pinned.covers(resource));
        around.max_by_key(|(pinned, _)| pinned.as_str().len()).map(|(_, issuer)| issuer)
    }

    fn with(
        client_name: String,
        grant: Grant,
        pre_registered: Vec<(Issuer, ClientCredentials)>,
    ) -> Self {
        Self {
            client_name,
            grant,
            pre_registered,
            metadata_url: None,
            keys_url: None,
            registration: None,
            pinned_issuers: Vec::new(),
            server_profiles: Vec::new(),
            wants_refresh_token: true,
            allows_local_addresses: false,
            keys: Keys::default(),
        }
    }
}
