//! Whether a user who agreed before is asked again.
//!
//! | nobody is asked again when | otherwise |
//! |---|---|
//! | the configuration remembers answers, and the request does not ask for a page (`prompt`) | asked |
//! | the redirect URI proves who the client is: https, and not on the user's machine (RFC 8252 §8.6, OAuth 2.1 §7.3.1) | asked |
//! | the same user agreed to the same client, redirect URI and resource, not too long ago | asked |
//! | the client says the same about itself as then | asked |
//! | no scope is new | asked |
//!
//! A public client on the user's machine is nobody in particular: any program there can use its name, and receives
//! what its redirect URI does. So its user is asked every time, whatever they agreed to before. Where a request wants
//! nobody to be asked (`prompt=none`), the last column is `consent_required`.

use oauth_types::{AuthorizationErrorCode, Entropy, Origin, RedirectUri, SecretDigest, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{Approved, Config, ConsentRecord, NeedsConsent, RedirectError};

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
        let may_recall = config.remembered_consent.is_some()
            && request.prompt != Prompt::Always
            && proves_client(&request.redirect_uri);
        let key = may_recall.then(|| key(&request, &subject));
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
            agreed.metadata == request.client.metadata_digest()
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
        // Who let the browser go there once, has acted.
        Err(if is_known { error } else { error.without_asking() })
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
        proves_client(&request.redirect_uri).then(|| Self {
            key: key(request, subject),
            subject: subject.to_owned(),
            client_id: request.client.client_id.clone(),
            scopes: request.scopes.clone(),
            metadata: request.client.metadata_digest(),
            until: now.plus(lifetime),
        })
    }
}

/// Whether nobody but the client receives what is sent to this URI.
fn proves_client(redirect_uri: &RedirectUri) -> bool {
    // A private-use scheme has no origin, and loopback a local one.
    Origin::of(redirect_uri.as_str()).is_ok_and(|origin| !origin.is_local_address())
}

/// Which answer it is. JSON keeps the four apart, whatever they contain.
fn key(request: &NeedsConsent, subject: &str) -> SecretDigest {
    let NeedsConsent { client, redirect_uri, resource, .. } = request;
    let key = serde_json::json!([subject, client.client_id, redirect_uri, resource]);
    SecretDigest::of(&key.to_string())
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
