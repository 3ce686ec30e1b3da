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

use oauth_types::{AuthorizationErrorCode, Entropy, RedirectUri, SecretDigest, Subject, UnixTime};

use crate::config::Config;
use crate::consent::{Approved, NeedsConsent};
use crate::destination::is_elsewhere;
use crate::prompt::Prompt;
use crate::refusal::RedirectError;
use crate::store::{ClientRecord, ConsentRecord};

impl<'a> NeedsConsent<'a> {
    /// Goes on with the user who is logged in: perhaps they agreed before.
    pub fn with_user(self, subject: Subject) -> ConsentLookup<'a> {
        ConsentLookup::new(self, subject)
    }
}

/// A request whose user is known, and whose earlier answer has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with what is remembered"]
pub struct ConsentLookup<'a> {
    request: NeedsConsent<'a>,
    subject: Subject,
    key: Option<SecretDigest>,
}

impl<'a> ConsentLookup<'a> {
    pub(crate) fn new(request: NeedsConsent<'a>, subject: Subject) -> Self {
        let may_recall =
            request.config.remembered_consent.is_some() && request.prompt != Prompt::Always;
        let key = if may_recall { request.destination().key(&subject) } else { None };
        Self { request, subject, key }
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
    ) -> Result<Asking<'a>, RedirectError> {
        let Self { request, subject, key } = self;
        let consent = consent.filter(|own| Some(own.key) == key && now < own.until);
        let is_known = consent.is_some();
        let is_agreed = consent.is_some_and(|agreed| {
            counts_without_page(request.config, &request.client, &request.redirect_uri)
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
        let error = request.unasked(code, "the user has to be asked");
        // An earlier consent for this redirect URI exists, so redirecting the error to it is no open redirect.
        Err(if is_known { error.after_consent() } else { error })
    }
}

/// Whether the user has to be asked.
#[derive(Debug)]
#[must_use = "the request goes on only when the step is taken"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Asking<'a> {
    /// They have.
    Ask(NeedsConsent<'a>),
    /// They agreed to all of it before.
    Agreed(AgreedBefore<'a>),
}

/// A request that its user agreed to when it was asked before.
#[derive(Debug)]
#[must_use = "a code may be given"]
pub struct AgreedBefore<'a> {
    request: NeedsConsent<'a>,
    subject: Subject,
}

impl<'a> AgreedBefore<'a> {
    /// A code, to be stored before it is sent. What is remembered gets no older or younger by it.
    pub fn approve(self, code: Entropy<32>, now: UnixTime) -> Approved<'a> {
        self.request.issue(self.subject, code, now)
    }
}

/// Returns `true` if an earlier answer may stand for a new one: the second table at the head of this module.
fn counts_without_page(config: &Config, client: &ClientRecord, redirect_uri: &RedirectUri) -> bool {
    is_elsewhere(redirect_uri)
        && (!client.may_be_public() || config.remembered_clients.contains(&client.client_id))
}
