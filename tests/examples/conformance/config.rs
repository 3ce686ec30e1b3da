//! Context that each scenario of the suite gives to its client, and the resulting client configuration.

use std::env;

use anyhow::{Context as _, Result, ensure};
use client_auth::{ClientCredentials, ProofKey, SigningKey};
use client_flow::{BrowserRequest, ClientConfig, IdentityProvider};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::LOCATION;
use mcp_authz_reqwest::{AuthorizedClient, IdentityError, IdentitySource, UserAgent, VisitError};
use oauth_types::{
    AuthMethod, ClientId, ClientMetadataUrl, EndpointUrl, Issuer, ProtectedResourceMetadata,
    RedirectUri, ResourceUri, Secret, SigningAlgorithm, protected_resource_urls,
};
use rmcp::model::ProtocolVersion;
use serde_json::Value;

/// The suite compares the text only; the name does not resolve.
const METADATA_URL: &str = "https://conformance-test.local/client-metadata.json";
/// Redirect URI without a listener, because the scripted user reads the redirect.
const REDIRECT: &str = "http://localhost:3000/callback";
const NAME: &str = "mcp-authz conformance";
/// Published private key for tests, which protects no data.
const PROOF_KEY: &str = include_str!("../../../crates/client-auth/tests/keys/es256.pem");

pub(crate) struct Scenario {
    name: String,
    pub(crate) version: ProtocolVersion,
    context: Value,
}

impl Scenario {
    pub(crate) fn from_environment() -> Result<Self> {
        let version = Value::String(env::var("MCP_CONFORMANCE_PROTOCOL_VERSION")?);
        let context = env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_else(|_| "{}".to_owned());
        Ok(Self {
            name: env::var("MCP_CONFORMANCE_SCENARIO")?,
            version: serde_json::from_value(version)?,
            context: serde_json::from_str(&context).context("the context is not JSON")?,
        })
    }

    pub(crate) async fn client(&self, url: &str) -> Result<AuthorizedClient> {
        let builder = match self.name.as_str() {
            "auth/client-credentials-basic" => {
                let issuer = issuer_of(url).await?;
                let config = ClientConfig::client_credentials(NAME, issuer, self.confidential()?);
                AuthorizedClient::builder(url, config)
            }
            "auth/client-credentials-jwt" => {
                let issuer = issuer_of(url).await?;
                let client = ClientCredentials::with_assertions(self.id("client_id")?);
                let algorithm = SigningAlgorithm::parse(self.text("signing_algorithm")?);
                let key = SigningKey::from_pem(algorithm, self.text("private_key_pem")?)?;
                let config =
                    ClientConfig::client_credentials(NAME, issuer, client).with_signing_key(key);
                AuthorizedClient::builder(url, config)
            }
            "auth/wif-jwt-bearer" => {
                let issuer = issuer_of(url).await?;
                let client = ClientCredentials::public(self.id("client_id")?);
                let config = ClientConfig::workload_identity(NAME, issuer, client);
                let identity = Given(Secret::new(self.text("valid_jwt")?));
                AuthorizedClient::builder(url, config).identity(identity)
            }
            "auth/enterprise-managed-authorization" => {
                let issuer = issuer_of(url).await?;
                let provider = IdentityProvider::new(
                    Issuer::parse(self.text("idp_issuer")?)?,
                    EndpointUrl::parse(self.text("idp_token_endpoint")?)?,
                    ClientCredentials::public(self.id("idp_client_id")?),
                );
                let client = self.confidential()?;
                let config = ClientConfig::id_jag(NAME, issuer, client, provider);
                let identity = Given(Secret::new(self.text("idp_id_token")?));
                AuthorizedClient::builder(url, config).identity(identity)
            }
            _ => {
                let user = User::new()?;
                let mut config = ClientConfig::new(NAME, user.redirect_uri.clone());
                config.metadata_url = Some(ClientMetadataUrl::parse(METADATA_URL)?);
                if self.name == "auth/pre-registration" {
                    let issuer = Issuer::parse(self.text("issuer")?)?;
                    config.pre_registered.push((issuer, self.confidential()?));
                }
                if self.name.starts_with("auth/dpop") {
                    config = config.with_proof_key(ProofKey::from_pem(PROOF_KEY)?);
                }
                AuthorizedClient::builder(url, config).user(user)
            }
        };
        Ok(builder.build()?)
    }

    fn text(&self, name: &str) -> Result<&str> {
        let text = self.context.get(name).and_then(Value::as_str);
        text.with_context(|| format!("the context of {} has no {name}", self.name))
    }

    fn id(&self, name: &str) -> Result<ClientId> {
        Ok(ClientId::parse(self.text(name)?)?)
    }

    fn confidential(&self) -> Result<ClientCredentials> {
        let secret = Some(Secret::new(self.text("client_secret")?));
        let method = Some(&AuthMethod::ClientSecretBasic);
        Ok(ClientCredentials::choose(self.id("client_id")?, secret, method, &[])?)
    }
}

/// The authorization server that an operator would have looked up: the suite hands out credentials without saying
/// whose they are.
async fn issuer_of(url: &str) -> Result<Issuer> {
    let target = ResourceUri::canonical(url)?;
    for place in protected_resource_urls(&target, None)? {
        let answer = reqwest::get(place.as_str()).await?;
        if answer.status().is_success() {
            let metadata = ProtectedResourceMetadata::from_json(&answer.bytes().await?)?;
            let first = metadata.authorization_servers.into_iter().next();
            return first.context("the resource names no authorization server");
        }
    }
    anyhow::bail!("the resource publishes no metadata")
}

/// A token that the suite has made.
struct Given(Secret);

impl IdentitySource for Given {
    fn token<'a>(&'a self, _: &'a Issuer) -> BoxFuture<'a, Result<Secret, IdentityError>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

/// A user who agrees to everything, and a browser that goes where it is sent and no further.
struct User {
    http: reqwest::Client,
    redirect_uri: RedirectUri,
}

impl User {
    fn new() -> Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Ok(Self { http: http.build()?, redirect_uri: RedirectUri::parse(REDIRECT)? })
    }

    async fn go(&self, url: &str) -> Result<String> {
        let answer = self.http.get(url).send().await?;
        ensure!(answer.status().is_redirection(), "the server answered {}", answer.status());
        let location = answer.headers().get(LOCATION).context("a redirect to nowhere")?;
        Ok(location.to_str()?.to_owned())
    }
}

impl UserAgent for User {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        async { self.go(visit.url()).await.map_err(|_| VisitError::NoBrowser) }.boxed()
    }
}
