//! Start of the authorization: the first step from an account to tokens, by the configured grant.

use client_auth::NoUsableMethod;
use oauth_types::{AuthMethod, FormWriter, GrantType, ScopeSet};

use crate::config::{ClientConfig, Grant};
use crate::error::{FlowError, FlowErrorKind};
use crate::flow::generate_random::{Departing, GenerateRandom};
use crate::flow::get_assertion::GetAssertion;
use crate::flow::redeem::Redeeming;
use crate::flow::step::Step;
use crate::session::Account;
use crate::stage::FlowStage;
use crate::token::TokenRequest;

/// Returns the first step from an account to tokens with this scope.
pub(crate) fn authorize(
    account: Account,
    config: &ClientConfig,
    scope: Option<ScopeSet>,
) -> Result<Step, FlowError> {
    let keys = config.keys.clone();
    let scope = account.server.profile.scope_instead_of(scope);
    match &config.grant {
        Grant::AuthorizationCode { redirect_uri } => {
            let endpoint = account.server.for_users()?.clone();
            let redirect_uri = redirect_uri.clone();
            Ok(GenerateRandom::departure(Departing {
                account,
                keys,
                endpoint,
                redirect_uri,
                scope,
            }))
        }
        // C-SCOPE-9
        Grant::ClientCredentials => {
            let stage = FlowStage::ClientCredentials;
            if *account.client.method() == AuthMethod::None {
                return Err(FlowErrorKind::Credentials(NoUsableMethod::SecretMissing).at(stage));
            }
            let mut form = FormWriter::new();
            form.append("grant_type", GrantType::ClientCredentials.as_str());
            if let Some(scope) = &scope {
                form.append("scope", scope.as_str());
            }
            Redeeming::start(TokenRequest::new(stage, account, keys, scope, form))
        }
        Grant::WorkloadIdentity => {
            Ok(Step::GetAssertion(Box::new(GetAssertion::new(account, keys, scope, None))))
        }
        Grant::EnterpriseManaged(provider) => {
            let provider = Some(provider.clone());
            Ok(Step::GetAssertion(Box::new(GetAssertion::new(account, keys, scope, provider))))
        }
    }
}
