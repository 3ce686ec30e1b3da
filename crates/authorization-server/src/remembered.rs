//! Consent that is remembered, and the cases in which it counts without a page.
//!
//! | a code is given without a page if | otherwise |
//! |---|---|
//! | the configuration remembers answers, and the request does not ask for a page (`prompt`) | asked |
//! | the redirect URI and the client are of a kind that counts: the table below | asked |
//! | the same user agreed to the same client, redirect URI and resource, not too long ago | asked |
//! | the client says the same about itself as then | asked |
//! | no scope is new | asked |
//!
//! A client identifier is no secret, and all servers of one product may share one (client ID metadata documents). A
//! malicious server of the product can send a browser here with the honest client's identifier, redirect URI and a
//! challenge of its own choice. If no page is shown, the user does not notice, and a client that mixes servers up
//! delivers the code to the malicious one (GHSA-6x8h-498w-gv8c). So the page is left out only where the code is worth
//! nothing without a credential of the client:
//!
//! | redirect URI | client | an earlier answer counts |
//! |---|---|---|
//! | loopback, private-use scheme, or a local address | any | never: any program there can use the client's name, and receives the code (RFC 8252 §8.6, OAuth 2.1 §7.3.1) |
//! | https elsewhere | authenticates at the token endpoint in every case (`private_key_jwt`, or a secret) | yes |
//! | https elsewhere | public, or may come as a public one (a document that lists `none` beside other methods) | if the host names the client: [`Config::with_remembered_client`] |
//!
//! Where a request wants nobody to be asked (`prompt=none`), "asked" is `consent_required`. A consent is stored for
//! every redirect URI that is https elsewhere: it also allows the redirect of an error (`authorize.rs`).

use oauth_types::{
    AuthorizationErrorCode, ClientId, Entropy, Origin, RedirectUri, ResourceUri, SecretDigest,
    UnixTime,
};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::consent::{Approved, NeedsConsent};
use crate::refusal::RedirectError;
use crate::store::{ClientRecord, ConsentRecord};

/// How the request wants the user to be asked (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) enum Prompt {
    /// If that is needed.
    #[default]
    AsNeeded,
    /// In any case. Who is logged in stays so, also where the request would have them log in again (`login`).
    Always,
    /// Not at all.
    Never,
    /// Not at all, and yet somehow.
    Contradiction,
}

impl Prompt {
    /// Reads the parameter. What is not known is ignored, as any parameter that is not.
    pub(crate) fn parse(prompt: Option<&str>) -> Self {
        let mut values = prompt.unwrap_or_default().split(' ').filter(|value| !value.is_empty());
        if values.clone().any(|value| value == "none") {
            return if values.all(|value| value == "none") {
                Self::Never
            } else {
                Self::Contradiction
            };
        }
        let asks = |value| matches!(value, "consent" | "login" | "select_account");
        if values.any(asks) { Self::Always } else { Self::AsNeeded }
    }

    /// Whether a page may be shown.
    pub(crate) const fn lets_ask(self) -> bool {
        matches!(self, Self::AsNeeded | Self::Always)
    }
}

/// A request whose user is known, and whose earlier answer has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with what is remembered"]
pub struct ConsentLookup<'a> {
    config: &'a Config,
    request: NeedsConsent,
    subject: String,
    key: Option<SecretDigest>,
}

impl<'a> ConsentLookup<'a> {
    pub(crate) fn new(config: &'a Config, request: NeedsConsent, subject: String) -> Self {
        let may_recall = config.remembered_consent.is_some() && request.prompt != Prompt::Always;
        let key = if may_recall { request.destination().key(&subject) } else { None };
        Self { config, request, subject, key }
    }

    /// What to look up, where an earlier answer may count: [`Store::read_consent`](crate::Store::read_consent).
    #[must_use]
    pub const fn key(&self) -> Option<&SecretDigest> {
        self.key.as_ref()
    }

    /// Goes on with what is remembered, if anything.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] when the user would have to be asked, and the client wants nobody to be.
    pub fn with_consent(
        self,
        consent: Option<ConsentRecord>,
        now: UnixTime,
    ) -> Result<Asking, RedirectError> {
        let Self { config, request, subject, key } = self;
        let consent = consent.filter(|own| Some(own.key) == key && now < own.until);
        let is_known = consent.is_some();
        let is_agreed = consent.is_some_and(|agreed| {
            counts_without_page(config, &request.client, &request.redirect_uri)
                && agreed.metadata == request.client.metadata_digest()
                && !request.scopes.exceeds(&agreed.scopes)
        });
        if is_agreed {
            return Ok(Asking::Agreed(AgreedBefore { request, subject }));
        }
        if request.prompt.lets_ask() {
            return Ok(Asking::Ask(request));
        }
        let code = AuthorizationErrorCode::ConsentRequired;
        let error = request.unasked(config, code, "the user has to be asked");
        // An earlier consent for this redirect URI exists, so redirecting the error to it is no open redirect.
        Err(if is_known { error.after_consent() } else { error })
    }
}

/// Whether the user has to be asked.
#[derive(Debug)]
#[must_use = "the request goes on only when the step is taken"]
pub enum Asking {
    /// They have.
    Ask(NeedsConsent),
    /// They agreed to all of it before.
    Agreed(AgreedBefore),
}

/// A request that its user agreed to when it was asked before.
#[derive(Debug)]
#[must_use = "a code may be given"]
pub struct AgreedBefore {
    request: NeedsConsent,
    subject: String,
}

impl AgreedBefore {
    /// A code, to be stored before it is sent. What is remembered gets no older or younger by it.
    pub fn approve(self, config: &Config, code: Entropy<32>, now: UnixTime) -> Approved {
        self.request.issue(config, self.subject, code, now)
    }
}

impl ConsentRecord {
    /// What a user agrees to who says yes to this request; `None` where it would not count later.
    pub(crate) fn of(
        request: &NeedsConsent,
        config: &Config,
        subject: &str,
        now: UnixTime,
    ) -> Option<Self> {
        let lifetime = config.remembered_consent?;
        Some(Self {
            key: request.destination().key(subject)?,
            subject: subject.to_owned(),
            client_id: request.client.client_id.clone(),
            scopes: request.scopes.clone(),
            metadata: request.client.metadata_digest(),
            until: now.plus(lifetime),
        })
    }
}

/// Returns `true` if an earlier answer may stand for a new one: the second table at the head of this module.
fn counts_without_page(config: &Config, client: &ClientRecord, redirect_uri: &RedirectUri) -> bool {
    is_elsewhere(redirect_uri)
        && (!client.may_be_public() || config.remembered_clients.contains(&client.client_id))
}

/// Returns `true` if the URI is https and leads to another machine than the user's.
fn is_elsewhere(redirect_uri: &RedirectUri) -> bool {
    // A private-use scheme has no origin, and loopback a local one.
    Origin::of(redirect_uri.as_str()).is_ok_and(|origin| !origin.is_local_address())
}

/// The place to which an answer leads, as far as a consent is remembered for it.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) client_id: ClientId,
    pub(crate) redirect_uri: RedirectUri,
    /// The resource, if the request names one that is offered.
    pub(crate) resource: Option<ResourceUri>,
    /// The operator vouches for the client and its redirect URIs.
    pub(crate) is_of_operator: bool,
}

impl Destination {
    /// Returns the key of this user's consent, if one can be remembered. JSON keeps the four parts apart, whatever
    /// they contain.
    pub(crate) fn key(&self, subject: &str) -> Option<SecretDigest> {
        let Self { client_id, redirect_uri, resource, .. } = self;
        let resource = resource.as_ref().filter(|_| is_elsewhere(redirect_uri))?;
        let key = serde_json::json!([subject, client_id, redirect_uri, resource]);
        Some(SecretDigest::of(&key.to_string()))
    }
}

impl NeedsConsent {
    fn destination(&self) -> Destination {
        Destination {
            client_id: self.client.client_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            resource: Some(self.resource.clone()),
            is_of_operator: self.client.is_of_operator(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_request_wants_the_user_to_be_asked() {
        for (sent, read) in [
            (None, Prompt::AsNeeded),
            (Some(""), Prompt::AsNeeded),
            (Some("create nones NONE"), Prompt::AsNeeded),
            (Some("consent"), Prompt::Always),
            (Some("create  login"), Prompt::Always),
            (Some("select_account"), Prompt::Always),
            (Some("none"), Prompt::Never),
            (Some(" none none "), Prompt::Never),
            (Some("none consent"), Prompt::Contradiction),
            (Some("create none"), Prompt::Contradiction),
        ] {
            assert_eq!(Prompt::parse(sent), read, "{sent:?}");
        }
    }
}
