//! Token requests (RFC 6749 §3.2) and the interpretation of their responses (§5).
//!
//! | answer, in this order | requirement | outcome |
//! |---|---|---|
//! | an error that requires a nonce, the first time | C-EXT-3 | the same request with the nonce |
//! | an error that ends the grant or the client | C-TOKEN-7 | removed from the record; the login continues or fails |
//! | an error code of the server's own with an unusual status, see below | C-TOKEN-7 | `Status` |
//! | another error, whatever the status | C-TOKEN-4 | `Refused` |
//! | a token response, whatever the status | C-TOKEN-6 | saved, then used |
//! | a token of another type than requested | C-TOKEN-4 | `Document` |
//! | another body, and a status other than 2xx | C-TOKEN-4 | `Status` |
//! | another body | C-TOKEN-4 | `Document` |
//!
//! Such a status is transient (5xx, 408, 425, 429) or, at a refresh, neither 200 nor 400.
//!
//! The body decides, because the code, the assertion or a rotated refresh token is used up by then: some servers answer
//! 201 with tokens or 200 with an error, and a status alone says less than the body.
//!
//! The next step of the flow is chosen in `flow/redeem.rs`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use oauth_types::header::DPOP_NONCE;
use oauth_types::{
    DocumentError, EndpointUrl, Entropy, ErrorResponse, FormWriter, GrantType, MemberRule,
    ScopeSet, Secret, SecretDigest, TokenErrorCode, TokenResponse, TokenType, UnixTime,
};

use crate::error::{FlowError, FlowErrorKind};
use crate::keys::{Keys, Signing};
use crate::session::{Account, Session, StoredCredentials, Tokens, Unsaved, join};
use crate::stage::FlowStage;

/// Token request, signed anew for each attempt.
pub(crate) struct TokenRequest {
    stage: FlowStage,
    account: Account,
    keys: Keys,
    form: FormWriter,
    /// Grant type by which the tokens are issued.
    grant: GrantType,
    /// Scopes that were requested, now or when the grant began.
    requested: Option<ScopeSet>,
    /// Scopes of the grant; set for a refresh, whose request names none.
    granted: Option<ScopeSet>,
    kept_refresh_token: Option<Secret>,
    /// Login that a refresh preserves.
    login: Option<SecretDigest>,
    /// Access tokens that the new ones replace, where the store may hold them.
    replaces: Vec<Secret>,
    nonce: Option<HeaderValue>,
}

impl TokenRequest {
    /// Creates a request for a grant of these scopes.
    pub(crate) fn new(
        stage: FlowStage,
        account: Account,
        keys: Keys,
        requested: Option<ScopeSet>,
        mut form: FormWriter,
    ) -> Self {
        // C-AUTHZ-3
        if !account.server.profile.resource_omitted {
            form.append("resource", account.resource.as_str());
        }
        Self {
            stage,
            account,
            keys,
            form,
            grant: match stage {
                FlowStage::ClientCredentials => GrantType::ClientCredentials,
                FlowStage::JwtBearer => GrantType::JwtBearer,
                _ => GrantType::AuthorizationCode,
            },
            requested,
            granted: None,
            kept_refresh_token: None,
            login: None,
            replaces: Vec::new(),
            nonce: None,
        }
    }

    /// Creates a refresh of these tokens.
    pub(crate) fn refresh(account: Account, keys: Keys, held: &Tokens, token: &Secret) -> Self {
        let mut form = FormWriter::new();
        form.append("grant_type", "refresh_token").append("refresh_token", token.expose());
        Self {
            grant: held.grant.clone(),
            granted: held.granted.clone(),
            kept_refresh_token: Some(token.clone()),
            login: Some(held.login()),
            replaces: vec![held.access_token.clone()],
            ..Self::new(FlowStage::Refresh, account, keys, held.requested.clone(), form)
        }
    }

    /// Returns the refresh of an unsaved session, for which the store may hold these older tokens.
    pub(crate) fn replacing<'a>(mut self, older: impl Iterator<Item = &'a Secret>) -> Self {
        self.replaces.extend(older.cloned());
        self
    }

    pub(crate) const fn stage(&self) -> FlowStage {
        self.stage
    }

    /// Returns `true` if the request carries a signature, which needs random bytes of the host.
    pub(crate) fn is_signed(&self) -> bool {
        self.keys.sign_for(&self.account)
    }

    /// Returns the HTTP message for the token endpoint, signed with the random bytes.
    pub(crate) fn message(
        &self,
        drawn: Option<(Entropy<32>, UnixTime)>,
    ) -> Result<TokenMessage, FlowError> {
        let mut headers = HeaderMap::new();
        let mut form = self.form.clone();
        let nonce = self.nonce.as_ref();
        let signing = drawn.map(|(entropy, now)| Signing { entropy, now, nonce });
        let signed = self.keys.authenticate(&self.account, &mut headers, &mut form, signing);
        signed.map_err(|kind| kind.at(self.stage))?;
        let endpoint = self.account.server.token_endpoint.clone();
        Ok(TokenMessage { endpoint, headers, form })
    }

    /// Reads the response by the table at the head of this module.
    pub(crate) fn read(
        mut self,
        response: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<TokenAnswer, FlowError> {
        let stage = self.stage;
        // C-TOKEN-4: an error body counts whatever the status.
        if let Ok(error) = ErrorResponse::from_json(response.body()) {
            // C-EXT-3: the server did not process such a request, so nothing is used up.
            let asked = response.headers().get(&DPOP_NONCE).filter(|it| it.to_str().is_ok());
            if let (TokenErrorCode::UseDpopNonce, Some(nonce), None) =
                (&error.error, asked, &self.nonce)
                && self.keys.prove_to(&self.account.server)
            {
                self.nonce = Some(nonce.clone());
                return Ok(TokenAnswer::NonceNeeded(Box::new(self)));
            }
            // An error code of the server's own ends the grant only with a status of the token endpoint (RFC 6749 §5.2,
            // or 200), because gateways and routers send codes of their own with 403 or 404.
            let status = FlowErrorKind::Status(response.status()).at(stage);
            let is_refused = matches!(response.status(), StatusCode::OK | StatusCode::BAD_REQUEST);
            let is_of_gateway = stage == FlowStage::Refresh && !is_refused;
            if matches!(error.error, TokenErrorCode::Other(_))
                && (status.is_transient() || is_of_gateway)
            {
                return Err(status);
            }
            return self.refused(FlowErrorKind::Refused(error).at(stage));
        }
        let not_ours = |error: DocumentError| {
            let url = self.account.server.token_endpoint.clone();
            FlowErrorKind::Document { url, error }.at(stage)
        };
        let answer = match TokenResponse::from_json(response.body()) {
            Err(_) if !response.status().is_success() => {
                return Err(FlowErrorKind::Status(response.status()).at(stage));
            }
            read => read.map_err(not_ours)?,
        };
        if answer.token_type == TokenType::Dpop && !self.keys.prove_to(&self.account.server) {
            let rule = MemberRule::Value { expected: "Bearer, because no proof was sent" };
            return Err(not_ours(DocumentError::Member { member: "token_type", rule }));
        }
        let named_scope = answer.scope.is_some();
        let mut tokens = Tokens::new(answer, self.grant, self.requested, now);
        tokens.bound_to = self.keys.binding(tokens.token_type);
        tokens.login = self.login;
        // A refresh without `scope` in its answer keeps what was granted (RFC 6749 §5.1, §6).
        if !named_scope && self.granted.is_some() {
            tokens.granted = self.granted;
        }
        // C-TOKEN-6
        tokens.refresh_token = tokens.refresh_token.or(self.kept_refresh_token);
        let session = Session::new(self.account.proven(), tokens);
        Ok(TokenAnswer::Tokens(session.unsaved(Unsaved::replacing(self.replaces))))
    }

    /// Returns the record without the tokens of this request.
    fn forgotten(&self, because: &FlowError) -> StoredCredentials {
        let client_refused = because.ends_client();
        let asked = join(self.requested.as_ref(), self.granted.as_ref());
        StoredCredentials { asked, client_refused, ..StoredCredentials::new(self.account.clone()) }
    }

    /// Handles an error response of the token endpoint.
    ///
    /// Credentials that the server will never accept again are removed from the record.
    fn refused(self, error: FlowError) -> Result<TokenAnswer, FlowError> {
        // C-TOKEN-7
        let is_refresh = self.stage == FlowStage::Refresh;
        let ends_grant = is_refresh && error.ends_grant();
        if !ends_grant && !error.ends_client() {
            return Err(error);
        }
        Ok(TokenAnswer::Ended { record: self.forgotten(&error), error })
    }
}

/// HTTP message to a token endpoint.
pub(crate) struct TokenMessage {
    pub(crate) endpoint: EndpointUrl,
    pub(crate) headers: HeaderMap,
    pub(crate) form: FormWriter,
}

/// Interpreted response of the token endpoint.
pub(crate) enum TokenAnswer {
    /// The server requires the same request with a nonce, which the request now carries.
    NonceNeeded(Box<TokenRequest>),
    /// Tokens, to save before they are used.
    Tokens(Session),
    /// The grant or the client has ended; the record no longer contains it.
    Ended { record: StoredCredentials, error: FlowError },
}
