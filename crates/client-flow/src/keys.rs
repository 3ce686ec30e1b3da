//! Keys of the client, and the authentication of its token requests (RFC 7523 §2.2, RFC 9449 §5).

#[cfg(feature = "dpop")]
use client_auth::ProofKey;
#[cfg(feature = "jwt")]
use client_auth::SigningKey;
use client_auth::{ClientCredentials, NoUsableMethod};
use http::{HeaderMap, HeaderValue};
use oauth_types::{
    AuthMethod, AuthorizationServerMetadata, ClientMetadata, EndpointUrl, Entropy, FormWriter,
    TokenType, UnixTime,
};

use crate::error::FlowErrorKind;
use crate::session::{Account, ServerEndpoints, Tokens};

/// Keys of this client; never part of a record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    #[cfg(feature = "jwt")]
    pub(crate) assertion: Option<SigningKey>,
    #[cfg(feature = "dpop")]
    pub(crate) proof: Option<ProofKey>,
}

/// Inputs of a signature besides the key.
pub(crate) struct Signing<'a> {
    pub(crate) entropy: Entropy<32>,
    pub(crate) now: UnixTime,
    /// The nonce that the server requires in the proof (RFC 9449 §8).
    pub(crate) nonce: Option<&'a HeaderValue>,
}

impl Keys {
    /// Checks that these credentials can be used at this server, before the user is involved.
    pub(crate) fn check(
        &self,
        client: &ClientCredentials,
        server: &AuthorizationServerMetadata,
    ) -> Result<(), NoUsableMethod> {
        // C-TOKEN-2
        if *client.method() != AuthMethod::PrivateKeyJwt {
            return Ok(());
        }
        #[cfg(feature = "jwt")]
        if let Some(key) = &self.assertion {
            return key.accepted_by(server);
        }
        let _ = server;
        Err(NoUsableMethod::KeyMissing)
    }

    /// Adds `private_key_jwt` and the public key to client metadata (OpenID RP Metadata Choices).
    ///
    /// The key is at `keys_url`, else in the metadata itself. A preferred method stays; without one, the client signs.
    /// Without a publishable key the metadata stays unchanged.
    pub(crate) fn offer(&self, sent: &mut ClientMetadata, keys_url: Option<&EndpointUrl>) {
        #[cfg(feature = "jwt")]
        if let Some(key) = &self.assertion
            && (keys_url.is_some() || key.public_key().is_ok())
        {
            let preferred = sent.token_endpoint_auth_method.clone();
            sent.token_endpoint_auth_methods_supported =
                Some([AuthMethod::PrivateKeyJwt].into_iter().chain(preferred.clone()).collect());
            // Either `jwks_uri` or `jwks`, never both (RFC 7591 §2).
            sent.jwks_uri = keys_url.map(|url| url.as_str().to_owned());
            sent.jwks = if keys_url.is_none() { self.key_set() } else { None };
            sent.token_endpoint_auth_method = preferred.or(Some(AuthMethod::PrivateKeyJwt));
            if sent.token_endpoint_auth_method == Some(AuthMethod::PrivateKeyJwt) {
                sent.token_endpoint_auth_signing_alg = Some(key.algorithm().clone());
            }
        }
        #[cfg(not(feature = "jwt"))]
        let _ = (sent, keys_url);
    }

    /// Returns the key set of this client (RFC 7517 §5); `None` without a publishable key.
    #[cfg(feature = "jwt")]
    pub(crate) fn key_set(&self) -> Option<serde_json::Value> {
        let public = self.assertion.as_ref()?.public_key().ok()?;
        Some(serde_json::json!({ "keys": [public] }))
    }

    /// Returns `true` if this server accepts assertions signed by the configured key.
    pub(crate) fn sign_at(&self, server: &AuthorizationServerMetadata) -> bool {
        #[cfg(feature = "jwt")]
        return self.assertion.as_ref().is_some_and(|key| key.accepted_by(server).is_ok());
        #[cfg(not(feature = "jwt"))]
        {
            let _ = server;
            false
        }
    }

    /// Returns `true` if token requests of this account carry a signature.
    pub(crate) fn sign_for(&self, account: &Account) -> bool {
        *account.client.method() == AuthMethod::PrivateKeyJwt || self.prove_to(&account.server)
    }

    /// Returns `true` if tokens of this server are bound to the proof key.
    pub(crate) fn prove_to(&self, server: &ServerEndpoints) -> bool {
        #[cfg(feature = "dpop")]
        return self.proof.is_some() && server.takes_proofs;
        #[cfg(not(feature = "dpop"))]
        {
            let _ = server;
            false
        }
    }

    /// Returns the thumbprint of the key that tokens of this type are bound to.
    pub(crate) fn binding(&self, token_type: TokenType) -> Option<Box<str>> {
        #[cfg(feature = "dpop")]
        if token_type == TokenType::Dpop {
            return self.proof.as_ref().map(|key| key.thumbprint().into());
        }
        let _ = token_type;
        None
    }

    /// Returns `true` if tokens are usable with these keys: bearer tokens, or bound to the configured key.
    pub(crate) fn fit(&self, tokens: &Tokens) -> bool {
        tokens.token_type == TokenType::Bearer || self.binding(tokens.token_type) == tokens.bound_to
    }

    /// Adds client authentication by exactly one method, and a DPoP proof where tokens are bound.
    pub(crate) fn authenticate(
        &self,
        account: &Account,
        headers: &mut HeaderMap,
        form: &mut FormWriter,
        signing: Option<Signing<'_>>,
    ) -> Result<(), FlowErrorKind> {
        let key_missing = FlowErrorKind::Credentials(NoUsableMethod::KeyMissing);
        if *account.client.method() != AuthMethod::PrivateKeyJwt {
            account.client.attach(headers, form).map_err(|_| key_missing.clone())?;
        }
        let Some(signing) = signing else { return Ok(()) };
        #[cfg(feature = "jwt")]
        {
            let [for_assertion, for_proof] = signing.entropy.split();
            if *account.client.method() == AuthMethod::PrivateKeyJwt {
                let key = self.assertion.as_ref().ok_or(key_missing)?;
                let (client_id, issuer) = (account.client.client_id(), &account.server.issuer);
                // C-EXT-1
                key.sign(client_id, issuer, signing.now, for_assertion)
                    .map_err(|_| FlowErrorKind::NotSigned)?
                    .attach(form);
            }
            #[cfg(feature = "dpop")]
            if let Some(key) = self.proof.as_ref().filter(|_| self.prove_to(&account.server)) {
                let url = account.server.token_endpoint.as_str();
                let (nonce, now) = (signing.nonce, signing.now);
                let proof = key
                    .prove(&http::Method::POST, url, None, nonce, now, for_proof)
                    .map_err(|_| FlowErrorKind::NotSigned)?;
                headers.insert(oauth_types::header::DPOP, proof);
            }
            #[cfg(not(feature = "dpop"))]
            let _ = (for_proof, signing.nonce);
            Ok(())
        }
        #[cfg(not(feature = "jwt"))]
        {
            let _ = (signing.entropy, signing.now, signing.nonce);
            Err(key_missing)
        }
    }
}
