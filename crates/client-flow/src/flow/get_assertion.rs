//! Assertion grants: for a workload (RFC 7523) and for a user of an enterprise (ID-JAG, RFC 8693).

use core::fmt;

use bytes::Bytes;
use client_auth::NoUsableMethod;
use http::{HeaderMap, Response};
use oauth_types::{
    DocumentError, ErrorResponse, FormWriter, GrantType, IssuedTokenType, Issuer, MemberRule,
    ScopeSet, Secret, TokenExchangeResponse,
};

use crate::config::IdentityProvider;
use crate::error::{FlowError, FlowErrorKind};
use crate::flow::redeem::Redeeming;
use crate::flow::send_request::{SendRequest, Then};
use crate::flow::step::Step;
use crate::keys::Keys;
use crate::session::Account;
use crate::stage::FlowStage;
use crate::token::TokenRequest;

/// Requests a token from the host that identifies the workload or the user.
///
/// For a workload it is a token of its platform, for a user an ID token of the enterprise's identity provider.
#[must_use = "the flow goes on only when the step is taken"]
pub struct GetAssertion {
    account: Account,
    keys: Keys,
    scope: Option<ScopeSet>,
    provider: Option<IdentityProvider>,
}

impl GetAssertion {
    pub(crate) const fn new(
        account: Account,
        keys: Keys,
        scope: Option<ScopeSet>,
        provider: Option<IdentityProvider>,
    ) -> Self {
        Self { account, keys, scope, provider }
    }

    /// Returns the issuer that reads the token.
    ///
    /// For a workload this is the authorization server, which has to be the token's `aud`; for a user it is the
    /// identity provider that issued the ID token.
    #[must_use]
    pub fn reader(&self) -> &Issuer {
        match &self.provider {
            Some(provider) => &provider.issuer,
            None => &self.account.server.issuer,
        }
    }

    /// Continues with the token.
    ///
    /// # Errors
    ///
    /// [`FlowErrorKind::Credentials`] when the client cannot authenticate.
    pub fn resume(self, token: &Secret) -> Result<Step, FlowError> {
        let Self { account, keys, scope, provider } = self;
        let Some(provider) = provider else {
            // C-EXT-4
            return jwt_bearer(account, keys, scope, token);
        };
        // C-EXT-2
        let mut form = FormWriter::new();
        form.append("grant_type", GrantType::TokenExchange.as_str())
            .append("requested_token_type", IssuedTokenType::IdJag.as_str())
            .append("audience", account.server.issuer.as_str())
            .append("resource", account.resource.as_str())
            .append("subject_token", token.expose())
            .append("subject_token_type", IssuedTokenType::IdToken.as_str());
        if let Some(scope) = &scope {
            form.append("scope", scope.as_str());
        }
        let mut headers = HeaderMap::new();
        // Assertions are not signed for the identity provider.
        let unsigned = |_| {
            let unusable = FlowErrorKind::Credentials(NoUsableMethod::UnknownMethod);
            unusable.at(FlowStage::TokenExchange)
        };
        provider.client.attach(&mut headers, &mut form).map_err(unsigned)?;
        let endpoint = provider.token_endpoint.clone();
        let state = Box::new(Asserting { account, keys, scope, provider });
        SendRequest::post_form(&endpoint, headers, form, Then::Assertion(state))
    }
}

impl fmt::Debug for GetAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identify").field("reader", self.reader()).finish_non_exhaustive()
    }
}

/// Token exchange in progress (RFC 8693).
pub(crate) struct Asserting {
    account: Account,
    keys: Keys,
    scope: Option<ScopeSet>,
    provider: IdentityProvider,
}

impl Asserting {
    pub(crate) fn read(self, response: &Response<Bytes>) -> Result<Step, FlowError> {
        let stage = FlowStage::TokenExchange;
        if let Ok(error) = ErrorResponse::from_json(response.body()) {
            return Err(FlowErrorKind::Refused(error).at(stage));
        }
        let not_ours = |error| {
            let url = self.provider.token_endpoint.clone();
            FlowErrorKind::Document { url, error }.at(stage)
        };
        // The body decides, as at the token endpoint, because the ID token may be used up.
        let answer = match TokenExchangeResponse::from_json(response.body()) {
            Err(_) if !response.status().is_success() => {
                return Err(FlowErrorKind::Status(response.status()).at(stage));
            }
            read => read.map_err(not_ours)?,
        };
        if answer.issued_token_type != IssuedTokenType::IdJag {
            let rule = MemberRule::Value { expected: IssuedTokenType::IdJag.as_str() };
            return Err(not_ours(DocumentError::Member { member: "issued_token_type", rule }));
        }
        jwt_bearer(self.account, self.keys, self.scope, &answer.token)
    }
}

/// Starts the JWT bearer grant (RFC 7523 §2.1).
fn jwt_bearer(
    account: Account,
    keys: Keys,
    scope: Option<ScopeSet>,
    assertion: &Secret,
) -> Result<Step, FlowError> {
    let mut form = FormWriter::new();
    form.append("grant_type", GrantType::JwtBearer.as_str())
        .append("assertion", assertion.expose());
    if let Some(scope) = &scope {
        form.append("scope", scope.as_str());
    }
    Redeeming::start(TokenRequest::new(FlowStage::JwtBearer, account, keys, scope, form))
}
