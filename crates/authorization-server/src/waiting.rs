//! Consent questions that wait for an answer, without state on the server.
//!
//! The form of a consent page carries the authorization request under a MAC, and so does the address to which a browser
//! returns from a login at another server. Any process of the issuer can therefore take the answer. The store remembers
//! only which questions were answered. If a clock that ran ahead is corrected, the questions that were asked by the
//! wrong time are refused; later ones are not affected.
//!
//! | check of an answer, in this order | error |
//! |---|---|
//! | the MAC of the question is valid, its stage fits, and `now < until` | 400 |
//! | the answer comes from the browser that was asked | 403 |
//! | the answer comes from the user who was asked | 403 |
//! | the client's metadata is unchanged, and its scopes and resource are still offered | 400 |
//! | the answer is the first one | 400 |
//!
//! A host may count the same answer again if it knows that the outcome of the first one reached no client, because the
//! store failed after the answer was remembered.

use core::fmt;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::{FirstUse, Replayed};
use oauth_types::{
    ClientId, CodeChallenge, Entropy, FormPairs, FormWriter, RedirectUri, ResourceUri, ScopeSet,
    Secret, SecretDigest, Subject, Thumbprint, UnixTime,
};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::consent::NeedsConsent;
use crate::prompt::Prompt;
use crate::refusal::{Cause, ConsentError, PageError};
use crate::server_keys::Purpose;
use crate::store::ClientRecord;

/// Time within which a question has to be answered.
const LIFETIME: Duration = Duration::from_secs(600);

/// Person to whom a consent page is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConsentViewer<'a> {
    /// User who is logged in.
    User(&'a Subject),
    /// User who will log in at another server afterwards, with the network of the browser, if it is known.
    Anonymous(Option<&'a str>),
}

/// Consent question: the field of the form, and the cookie of the browser that is asked.
#[derive(Debug)]
#[must_use = "put both into the page"]
#[non_exhaustive]
pub struct Question {
    /// Value of the form field `transaction`.
    pub transaction: Secret,
    /// Value of the cookie: 43 characters of base64url.
    ///
    /// The value that the browser sent is used again only if it was made for the same person or network, so a cookie
    /// that an attacker planted or that belongs to another user is replaced.
    pub browser: Secret,
}

impl NeedsConsent<'_> {
    /// Makes the question for a browser that sent this cookie.
    ///
    /// # Errors
    ///
    /// [`PageError`] when the request is too long for a form.
    pub fn ask(
        &self,
        asked: ConsentViewer<'_>,
        sent: Option<&str>,
        entropy: Entropy<32>,
        now: UnixTime,
    ) -> Result<Question, PageError> {
        let [salt, fresh] = entropy.split();
        let (config, owner) = (self.config, asked.owner());
        let known = sent.filter(|sent| owner.as_deref().is_some_and(|it| is_of(config, sent, it)));
        let browser = known.map_or_else(|| mark(config, fresh, owner.as_deref()), Secret::new);
        let stage = match asked {
            ConsentViewer::User(subject) => Stage::User(SecretDigest::of(subject.as_str())),
            ConsentViewer::Anonymous(_) => Stage::Anonymous,
        };
        let transaction = self.seal(stage, &browser, salt, now)?;
        Ok(Question { transaction, browser })
    }

    fn seal(
        &self,
        stage: Stage,
        browser: &Secret,
        salt: Entropy<16>,
        now: UnixTime,
    ) -> Result<Secret, PageError> {
        let waiting = Waiting {
            stage,
            salt: salt.into_bytes(),
            browser: browser.digest(),
            until: now.saturating_add(LIFETIME),
            client_id: self.client.client_id.clone(),
            client: self.client.metadata_digest(),
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
            challenge: self.challenge.clone(),
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
            prompt: self.prompt,
            jkt: self.jkt,
        };
        waiting.seal(self.config)
    }
}

impl ConsentViewer<'_> {
    /// Returns the owner of the cookie, if one is known. JSON keeps users and networks apart.
    fn owner(self) -> Option<String> {
        match self {
            Self::User(subject) => Some(serde_json::json!({ "user": subject }).to_string()),
            Self::Anonymous(network) => {
                network.map(|network| serde_json::json!({ "network": network }).to_string())
            }
        }
    }
}

/// Makes a cookie: 16 random bytes and a 16-byte MAC over them and the owner.
///
/// A cookie without an owner is never used again.
fn mark(config: &Config, fresh: Entropy<16>, owner: Option<&str>) -> Secret {
    let fresh = fresh.into_bytes();
    let signed = [fresh.as_slice(), owner.unwrap_or_default().as_bytes()].concat();
    let tag = config.seals().tag(Purpose::Browser, &signed);
    let (half, _) = tag.split_at(16);
    Secret::new(URL_SAFE_NO_PAD.encode([fresh.as_slice(), half].concat()))
}

/// Returns `true` if a cookie was made for this owner.
fn is_of(config: &Config, value: &str, owner: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(value) else { return false };
    let Some((fresh, tag)) = bytes.split_at_checked(16).filter(|(_, tag)| tag.len() == 16) else {
        return false;
    };
    config.seals().verifies(Purpose::Browser, &[fresh, owner.as_bytes()].concat(), tag)
}

/// Stage of the login at which a question waits.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Stage {
    /// Consent page of this logged-in user.
    User(SecretDigest),
    /// Consent page before a login at another server.
    Anonymous,
    /// Login at another server, after the user agreed.
    Agreed,
}

/// Consent question as the form or URL carries it.
#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    stage: Stage,
    /// Random bytes, because two pages of the same second are two questions.
    salt: [u8; 16],
    browser: SecretDigest,
    until: UnixTime,
    client_id: ClientId,
    /// Digest of the metadata that the client had when the user was asked.
    client: SecretDigest,
    redirect_uri: RedirectUri,
    state: Option<String>,
    challenge: CodeChallenge,
    scopes: ScopeSet,
    resource: ResourceUri,
    prompt: Prompt,
    jkt: Option<Thumbprint>,
}

impl Waiting {
    /// Puts the question under a MAC.
    fn seal(&self, config: &Config) -> Result<Secret, PageError> {
        let too_long = PageError::new(Cause::Body);
        let Ok(text) = serde_json::to_vec(self) else { return Err(too_long) };
        let sealed = URL_SAFE_NO_PAD.encode(config.seals().seal(Purpose::ConsentPage, &text));
        if sealed.len() > FormPairs::MAX_VALUE_BYTES {
            return Err(too_long);
        }
        Ok(Secret::new(sealed))
    }
}

/// Answered question, after the check of the browser.
#[must_use = "the answer counts only when all is checked"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Answered<'a> {
    /// The question was asked of a logged-in user.
    OfUser(OfUser<'a>),
    /// The question was asked before a login at another server.
    OfAnonymous(OfAsked<'a>),
}

/// Answer to a question that was asked of one user; the user is checked next.
#[must_use = "the answer is this user's or nobody's"]
pub struct OfUser<'a> {
    subject: SecretDigest,
    asked: OfAsked<'a>,
}

/// Answer from the browser and user that were asked; the client is checked next.
#[must_use = "the answer is about this client"]
pub struct OfAsked<'a> {
    config: &'a Config,
    waiting: Waiting,
    key: SecretDigest,
}

fn gone() -> PageError {
    PageError::consent(ConsentError::Gone)
}

impl<'a> Answered<'a> {
    /// Verifies a question that a form carried, and the browser that sent it.
    pub(crate) fn open(
        config: &'a Config,
        transaction: &Secret,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Self, PageError> {
        let asked = OfAsked::open(config, transaction, now)?;
        match asked.waiting.stage {
            Stage::User(subject) => Ok(Self::OfUser(OfUser { subject, asked: asked.at(browser)? })),
            Stage::Anonymous => Ok(Self::OfAnonymous(asked.at(browser)?)),
            Stage::Agreed => Err(gone()),
        }
    }
}

impl<'a> OfUser<'a> {
    /// Checks that the user who is logged in now is the one who was asked.
    ///
    /// # Errors
    ///
    /// [`PageError`] when another user is logged in, or none.
    pub fn with_user(self, subject: Option<&Subject>) -> Result<OfAsked<'a>, PageError> {
        if subject.is_some_and(|subject| self.subject.matches(subject.as_str())) {
            return Ok(self.asked);
        }
        Err(PageError::consent(ConsentError::OtherUser))
    }
}

impl<'a> OfAsked<'a> {
    /// Verifies a question that the user agreed to before the login, and the browser that returns.
    pub(crate) fn after_login(
        config: &'a Config,
        transaction: &Secret,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Self, PageError> {
        let asked = Self::open(config, transaction, now)?;
        match asked.waiting.stage {
            Stage::Agreed => asked.at(browser),
            Stage::User(_) | Stage::Anonymous => Err(gone()),
        }
    }

    fn open(config: &'a Config, transaction: &Secret, now: UnixTime) -> Result<Self, PageError> {
        let sealed = URL_SAFE_NO_PAD.decode(transaction.expose()).map_err(|_| gone())?;
        let text = config.seals().unseal(Purpose::ConsentPage, &sealed).ok_or_else(gone)?;
        let waiting: Waiting = serde_json::from_slice(text).map_err(|_| gone())?;
        // The clock of another process may be ahead by a little. If it was ahead by more, the question would be valid
        // for too long, so it is refused.
        let longest = LIFETIME.saturating_mul(2);
        if now >= waiting.until || waiting.until > now.saturating_add(longest) {
            return Err(gone());
        }
        // The prefix keeps answers apart from the store's other keys that count once.
        let key = SecretDigest::of(&["answer ", transaction.expose()].concat());
        Ok(Self { config, waiting, key })
    }

    fn at(self, browser: Option<&str>) -> Result<Self, PageError> {
        if browser.is_some_and(|browser| self.waiting.browser.matches(browser)) {
            return Ok(self);
        }
        Err(PageError::consent(ConsentError::OtherBrowser))
    }

    /// Returns the identifier of the client to look up, as for an authorization request.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.waiting.client_id
    }

    /// Returns the path and query to which this browser returns from a login at another server.
    ///
    /// For a user who agreed before that login: the address carries the request under a MAC, and only
    /// [`ConsentAnswer::after_login`](crate::ConsentAnswer::after_login) accepts it. It can be made before the answer is
    /// taken, so that a login that fails leaves the answer unused.
    ///
    /// # Errors
    ///
    /// [`PageError`] when the request is too long for a URL.
    pub fn return_to(&self, salt: Entropy<16>, now: UnixTime) -> Result<String, PageError> {
        let waiting = Waiting {
            stage: Stage::Agreed,
            salt: salt.into_bytes(),
            until: now.saturating_add(LIFETIME),
            ..self.waiting.clone()
        };
        let mut form = FormWriter::new();
        form.append("transaction", waiting.seal(self.config)?.expose());
        Ok([&self.config.paths().consent, "?", form.as_str()].concat())
    }

    /// Continues with the client, if it still exists.
    ///
    /// Only the first answer counts: remember the key of the result as an [answer](crate::store::OnceKind::Answer).
    ///
    /// # Errors
    ///
    /// [`PageError`] when the client is missing or its metadata has changed since the user was asked, and when the
    /// server no longer offers the scopes, the resource or the redirect URI's scheme.
    pub fn with_client(
        self,
        client: Option<ClientRecord>,
        now: UnixTime,
    ) -> Result<FirstUse<NeedsConsent<'a>>, PageError> {
        let Self { config, waiting, key } = self;
        let client = client.filter(|client| {
            let registered = client.scope_bound();
            config.still_offered(registered, &waiting.resource, &waiting.scopes).as_ref()
                == Some(&waiting.scopes)
                && config.allows_scheme_of(&waiting.redirect_uri)
                && !client.is_forgotten(now)
                && client.uses_codes()
                && client.metadata_digest().equals(&waiting.client)
        });
        let request = NeedsConsent {
            config,
            client: client.ok_or_else(gone)?,
            redirect_uri: waiting.redirect_uri,
            state: waiting.state,
            challenge: waiting.challenge,
            scopes: waiting.scopes,
            resource: waiting.resource,
            prompt: waiting.prompt,
            jkt: waiting.jkt,
        };
        Ok(FirstUse::new(request, key, waiting.until))
    }
}

impl From<Replayed> for PageError {
    /// Refuses an answer to a question that was answered before.
    fn from(_: Replayed) -> Self {
        gone()
    }
}

impl fmt::Debug for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfUser(_) => "OfUser",
            Self::OfAnonymous(_) => "OfAnonymous",
        })
    }
}

impl fmt::Debug for OfUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfUser").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl fmt::Debug for OfAsked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfAsked").field("client_id", self.client_id()).finish_non_exhaustive()
    }
}
