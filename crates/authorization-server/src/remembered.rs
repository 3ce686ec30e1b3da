//! Remembered consent, and the conditions under which a code is issued without a consent page.
//!
//! | condition for a code without a page | otherwise |
//! |---|---|
//! | the configuration remembers consent, and `prompt` does not request a page | asked |
//! | the kind of redirect URI and client allows it: the table below | asked |
//! | the same user agreed to the same client, redirect URI and resource, and `now < until` | asked |
//! | the metadata of the client is unchanged | asked |
//! | every requested scope is in that consent | asked |
//!
//! A client identifier is no secret, and all servers of one product may share one (client ID metadata documents). A
//! malicious server of the product can send a browser here with the honest client's identifier, redirect URI and a
//! challenge of its own choice. Without a page the user does not notice, and a client that is open to mix-up attacks
//! (RFC 9700 §4.4) delivers the code to the malicious server (GHSA-6x8h-498w-gv8c). The page is therefore left out
//! only where the code is useless without a credential of the client:
//!
//! | redirect URI | client | earlier consent counts |
//! |---|---|---|
//! | loopback, private-use scheme, or a local address | any | never (see below) |
//! | https elsewhere | authenticates at the token endpoint in every case (`private_key_jwt`, or a secret) | yes |
//! | https elsewhere | may come as a public client | if named by [`Config::with_remembered_client`] |
//!
//! A client whose document lists `none` beside other methods may come as a public one. Earlier consent never counts for
//! local redirect URIs, because any program on the machine can use the client's identifier and
//! receive the code (RFC 8252 §8.6, OAuth 2.1 §7.3.1).
//!
//! With `prompt=none`, "asked" is the error `consent_required`. A consent is stored for every redirect URI that is
//! https elsewhere, because it also allows the redirect of an error (`authorize.rs`).

use oauth_types::{AuthorizationErrorCode, Entropy, RedirectUri, SecretDigest, Subject, UnixTime};

use crate::config::Config;
use crate::consent::{Approved, NeedsConsent};
use crate::destination::is_elsewhere;
use crate::prompt::Prompt;
use crate::refusal::RedirectError;
use crate::store::{ClientRecord, ConsentRecord};

impl<'a> NeedsConsent<'a> {
    /// Continues with the user who is logged in, whose earlier consent is looked up next.
    pub fn with_user(self, subject: Subject) -> ConsentLookup<'a> {
        ConsentLookup::new(self, subject)
    }
}

/// Authorization request of a known user, before the look-up of an earlier consent.
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

    /// Returns the key for [`Store::read_consent`](crate::Store::read_consent), if an earlier consent may count.
    #[must_use]
    pub const fn key(&self) -> Option<&SecretDigest> {
        self.key.as_ref()
    }

    /// Decides whether the user has to be asked, given the stored consent.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] (`consent_required`) when the user has to be asked, but `prompt=none` forbids it.
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

/// Next step of an authorization request: ask the user, or issue a code.
#[derive(Debug)]
#[must_use = "the request goes on only when the step is taken"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Asking<'a> {
    /// The user has to be asked.
    Ask(NeedsConsent<'a>),
    /// The user agreed to the whole request before.
    Agreed(AgreedBefore<'a>),
}

/// Authorization request that an earlier consent covers.
#[derive(Debug)]
#[must_use = "a code may be given"]
pub struct AgreedBefore<'a> {
    request: NeedsConsent<'a>,
    subject: Subject,
}

impl<'a> AgreedBefore<'a> {
    /// Issues an authorization code, which must be stored before it is sent.
    ///
    /// The time of the remembered consent does not change.
    pub fn approve(self, code: Entropy<32>, now: UnixTime) -> Approved<'a> {
        self.request.issue(self.subject, code, now)
    }
}

/// Returns `true` if earlier consent counts for this client and redirect URI.
///
/// The second table at the head of this module has the rule.
fn counts_without_page(config: &Config, client: &ClientRecord, redirect_uri: &RedirectUri) -> bool {
    is_elsewhere(redirect_uri)
        && (!client.may_be_public() || config.remembered_clients.contains(&client.client_id))
}
