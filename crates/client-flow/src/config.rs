//! What the host decides before a login.

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
use crate::session::{Account, Record, Tokens};

/// Whom the tokens are for, and by what right.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Grant {
    /// A user, who agrees in a browser (RFC 6749 §4.1).
    AuthorizationCode {
        /// Where the browser comes back to. Loopback for installed programs (RFC 8252 §7.3).
        redirect_uri: RedirectUri,
    },
    /// The client itself (RFC 6749 §4.4): nobody is asked, and its credentials are pre-registered.
    ClientCredentials,
    /// A workload, by the token of the platform that it runs on (RFC 7523 §2.1).
    WorkloadIdentity,
    /// A user of an enterprise, by the enterprise's own say (MCP enterprise-managed authorization): its
    /// identity provider turns the user's ID token into an assertion for the authorization server (RFC 8693,
    /// RFC 7523 §2.1).
    EnterpriseManaged(IdentityProvider),
}

impl Grant {
    /// Whether a user is sent through a browser.
    pub(crate) const fn needs_browser(&self) -> bool {
        matches!(self, Self::AuthorizationCode { .. })
    }

    /// What the token endpoint sees of it in the end.
    pub(crate) const fn kind(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::WorkloadIdentity | Self::EnterpriseManaged(_) => GrantType::JwtBearer,
        }
    }
}

/// An enterprise's identity provider, as its administrator describes it to the client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// Who it is; ID tokens come from there.
    pub issuer: Issuer,
    /// Where it exchanges tokens.
    pub token_endpoint: EndpointUrl,
    /// Who this client is there.
    pub client: ClientCredentials,
}

impl IdentityProvider {
    /// A provider.
    #[must_use]
    pub const fn new(
        issuer: Issuer,
        token_endpoint: EndpointUrl,
        client: ClientCredentials,
    ) -> Self {
        Self { issuer, token_endpoint, client }
    }
}

/// How this client introduces itself. Everything else is found out from the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name that users see on a consent page.
    pub client_name: String,
    /// Whom its tokens are for.
    pub grant: Grant,
    /// Credentials that an authorization server's operator gave out, each for that server only.
    pub pre_registered: Vec<(Issuer, ClientCredentials)>,
    /// The URL of this client's own metadata document, used where the server supports it.
    pub metadata_url: Option<ClientMetadataUrl>,
    /// The URL at which the host publishes this client's keys (`jwks_uri`, RFC 7591 §2). Registrations and the metadata
    /// document name it instead of the keys, so that keys change without another registration. Without a signing key
    /// it counts for nothing.
    pub keys_url: Option<EndpointUrl>,
    /// What to send to a registration endpoint, as it is. By default what follows from the rest; set it to what
    /// [`RegistrationError::Rejected`](crate::RegistrationError::Rejected) hands back, changed.
    pub registration: Option<ClientMetadata>,
    /// The issuer to trust for a resource (and all below it) whose documents name another one: misspelt by a slash
    /// or a letter's case, or of one tenant where the server's metadata names the whole vendor.
    ///
    /// Its metadata is looked for at its own well-known URLs and, where those have none, at those of the issuers on
    /// the same origin that the resource names. It has to name this very issuer: nothing turns the comparison off.
    pub pinned_issuers: Vec<(ResourceUri, Issuer)>,
    /// Exceptions for authorization servers, each for exactly this issuer; see
    /// [`with_server_profile`](Self::with_server_profile).
    pub server_profiles: Vec<(Issuer, ServerProfile)>,
    /// Whether to ask for a refresh token where the server lists `offline_access`.
    pub wants_refresh_token: bool,
    /// Whether a server on the network may lead this client to addresses of its own machine and network. Not
    /// needed for a server that is there itself.
    pub allows_local_addresses: bool,
    pub(crate) keys: Keys,
}

impl ClientConfig {
    /// A client that acts for users and registers itself with each server it meets.
    #[must_use]
    pub fn new(client_name: impl Into<String>, redirect_uri: RedirectUri) -> Self {
        Self::with(client_name.into(), Grant::AuthorizationCode { redirect_uri }, Vec::new())
    }

    /// A client that acts for itself, with the credentials that the operator of this authorization server gave
    /// out.
    #[must_use]
    pub fn for_itself(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
    ) -> Self {
        Self::with(client_name.into(), Grant::ClientCredentials, vec![(issuer, credentials)])
    }

    /// A client that acts for a workload, by tokens of its platform that this authorization server trusts.
    #[must_use]
    pub fn for_workload(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
    ) -> Self {
        Self::with(client_name.into(), Grant::WorkloadIdentity, vec![(issuer, credentials)])
    }

    /// A client that acts for users of an enterprise, by the word of its identity provider, with the
    /// credentials that the operator of this authorization server gave out.
    #[must_use]
    pub fn for_enterprise(
        client_name: impl Into<String>,
        issuer: Issuer,
        credentials: ClientCredentials,
        provider: IdentityProvider,
    ) -> Self {
        let grant = Grant::EnterpriseManaged(provider);
        Self::with(client_name.into(), grant, vec![(issuer, credentials)])
    }

    /// The key that client assertions are signed with
    /// ([`ClientCredentials::with_assertions`](client_auth::ClientCredentials::with_assertions)).
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn with_signing_key(mut self, key: SigningKey) -> Self {
        self.keys.assertion = Some(key);
        self
    }

    /// Returns the key set to serve at [`keys_url`](Self::keys_url) (RFC 7517 §5), as JSON. `None` without a signing key,
    /// or with one whose public half is not known here: Ed25519 keys.
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

    /// The key that tokens are bound to, where the authorization server takes proofs of possession (RFC 9449).
    /// Elsewhere, and where that server answers with a bearer token all the same, tokens are bearer tokens.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_proof_key(mut self, key: ProofKey) -> Self {
        self.keys.proof = Some(key);
        self
    }

    /// Makes the exceptions of `profile` for this issuer, compared byte for byte, and for no other. An earlier profile
    /// for it is replaced.
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

    /// Whether a record is of this client: not, where another one is pre-registered with that server now, or its
    /// tokens are by another grant, or bound to another key.
    #[must_use]
    pub fn owns(&self, record: &Record) -> bool {
        let (issuer, client) = (&record.account.server.issuer, &record.account.client);
        let is_ours = match self.registered_with(issuer) {
            Some(own) => own.client_id() == client.client_id(),
            // Without a user nobody registers by themselves.
            None => self.grant.needs_browser(),
        };
        let fits = |tokens: &Tokens| self.keys.fit(tokens) && tokens.grant == self.grant.kind();
        is_ours && record.tokens.as_ref().is_none_or(fits)
    }

    /// Returns `true` if the client of this account registered itself (RFC 7591), so that it can do so again.
    pub(crate) fn registered_itself(&self, account: &Account) -> bool {
        self.grant.needs_browser()
            && self.registered_with(&account.server.issuer).is_none()
            // The URL of a document is the host's to say.
            && !account.client.client_id().as_str().starts_with("https://")
    }

    /// Returns `true` if the client of this account is registered for where the browser comes back to now: not every
    /// server lets the port of a loopback address change (RFC 8252 §7.3).
    pub(crate) fn comes_back_to(&self, account: &Account) -> bool {
        match (&account.redirect_uri, &self.grant) {
            (Some(registered), Grant::AuthorizationCode { redirect_uri }) => {
                registered == redirect_uri
            }
            _ => true,
        }
    }

    /// Returns `true` if an authorization request can be made by this record without a look at the server's metadata.
    pub(crate) fn is_current(&self, record: &Record, now: UnixTime) -> bool {
        let account = &record.account;
        !record.client_refused
            && !account.server.are_old(now)
            && !account.client.has_expired(now)
            && self.comes_back_to(account)
    }

    /// The account with the profile that its server has now, and with the credentials that its operator gave out last:
    /// a secret may have been replaced.
    pub(crate) fn current(&self, mut account: Account) -> Account {
        if let Some(own) = self.registered_with(&account.server.issuer)
            && own.client_id() == account.client.client_id()
        {
            account.client = own.clone();
        }
        account.server.profile = self.profile_of(&account.server.issuer);
        account
    }

    /// The credentials that this server's operator gave out.
    pub(crate) fn registered_with(&self, issuer: &Issuer) -> Option<&ClientCredentials> {
        self.pre_registered.iter().find(|(own, _)| own == issuer).map(|(_, client)| client)
    }

    /// The exceptions for this server.
    pub(crate) fn profile_of(&self, issuer: &Issuer) -> ServerProfile {
        let mut profiles = self.server_profiles.iter();
        profiles
            .find(|(own, _)| own == issuer)
            .map(|(_, profile)| profile.clone())
            .unwrap_or_default()
    }

    /// The issuer that is pinned for this resource, or for the narrowest one around it.
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
