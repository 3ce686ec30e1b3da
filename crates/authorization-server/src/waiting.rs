//! Questions that wait for their user's answer, at whichever process of an issuer the answer arrives.
//!
//! Nothing is kept while a page is shown: its form carries the question under a MAC, and so does the address to come
//! back to from a login elsewhere. The store remembers which were answered. After a clock that ran ahead is set right,
//! questions that were asked meanwhile are too old, and those that are asked then are answered as ever.
//!
//! | check of an answer, in this order | error |
//! |---|---|
//! | the question is ours, for this place, and not too old | 400 |
//! | it comes from the browser that was asked | 403 |
//! | and from the user who was | 403 |
//! | the client is as it was when the user read about it, and what it asked for is still given | 400 |
//! | it is the first | 400 |
//!
//! A host that knows that nobody heard what came of the first answer, because its store failed after it was remembered, may
//! count the same answer again.

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

/// How long a user may take.
const LIFETIME: Duration = Duration::from_secs(600);

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Asked<'a> {
    /// User who is logged in.
    User(&'a Subject),
    /// Somebody who will log in at another server, by the network that they come from, if that is known.
    Stranger(Option<&'a str>),
}

/// What a page's form carries, and the value that the cookie of its browser has to have.
#[derive(Debug)]
#[must_use = "put both into the page"]
#[non_exhaustive]
pub struct Question {
    /// The form's field `transaction`.
    pub transaction: Secret,
    /// 43 characters of base64url. The value that the browser sent, where it had it for the same user before: one that
    /// somebody planted, or that another user had, is good for nothing.
    pub browser: Secret,
}

impl NeedsConsent<'_> {
    /// Asks who sits at a browser with this cookie.
    ///
    /// # Errors
    ///
    /// [`PageError`] when the request is too long to be carried by a form.
    pub fn ask(
        &self,
        asked: Asked<'_>,
        sent: Option<&str>,
        entropy: Entropy<32>,
        now: UnixTime,
    ) -> Result<Question, PageError> {
        let [salt, fresh] = entropy.split();
        let (config, owner) = (self.config, asked.owner());
        let known = sent.filter(|sent| owner.as_deref().is_some_and(|it| is_of(config, sent, it)));
        let browser = known.map_or_else(|| mark(config, fresh, owner.as_deref()), Secret::new);
        let stage = match asked {
            Asked::User(subject) => Stage::User(SecretDigest::of(subject.as_str())),
            Asked::Stranger(_) => Stage::Stranger,
        };
        let transaction = self.seal(stage, &browser, salt, now)?;
        Ok(Question { transaction, browser })
    }

    /// The path and query at which a browser that agreed comes back from the login to which its answer led it
    /// ([`ConsentAnswer::after_login`](crate::ConsentAnswer::after_login)). It carries the request under a MAC, as the
    /// page did, and is good for that alone.
    ///
    /// # Errors
    ///
    /// [`PageError`] when the request is too long to be carried by an address.
    pub fn return_to(
        &self,
        browser: &str,
        salt: Entropy<16>,
        now: UnixTime,
    ) -> Result<String, PageError> {
        let transaction = self.seal(Stage::Agreed, &Secret::new(browser), salt, now)?;
        let mut form = FormWriter::new();
        form.append("transaction", transaction.expose());
        Ok([&self.config.paths().consent, "?", form.as_str()].concat())
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
            until: now.plus(LIFETIME),
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
        let too_long = PageError::new(Cause::Body);
        let Ok(text) = serde_json::to_vec(&waiting) else { return Err(too_long) };
        let sealed = self.config.seals().seal(Purpose::ConsentPage, &text);
        let sealed = URL_SAFE_NO_PAD.encode(sealed);
        if sealed.len() > FormPairs::MAX_VALUE_BYTES {
            return Err(too_long);
        }
        Ok(Secret::new(sealed))
    }
}

impl Asked<'_> {
    /// Whose cookie it is. JSON keeps the two kinds apart.
    fn owner(self) -> Option<String> {
        match self {
            Self::User(subject) => Some(serde_json::json!({ "user": subject }).to_string()),
            Self::Stranger(network) => {
                network.map(|network| serde_json::json!({ "network": network }).to_string())
            }
        }
    }
}

/// A cookie's value: half of it is random, the other says whose it is. Without an owner nobody's will match.
fn mark(config: &Config, fresh: Entropy<16>, owner: Option<&str>) -> Secret {
    let fresh = fresh.into_bytes();
    let signed = [fresh.as_slice(), owner.unwrap_or_default().as_bytes()].concat();
    let tag = config.seals().tag(Purpose::Browser, &signed);
    let (half, _) = tag.split_at(16);
    Secret::new(URL_SAFE_NO_PAD.encode([fresh.as_slice(), half].concat()))
}

fn is_of(config: &Config, value: &str, owner: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(value) else { return false };
    let Some((fresh, tag)) = bytes.split_at_checked(16).filter(|(_, tag)| tag.len() == 16) else {
        return false;
    };
    config.seals().verifies(Purpose::Browser, &[fresh, owner.as_bytes()].concat(), tag)
}

/// Where a question waits.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Stage {
    /// On the page of this user.
    User(SecretDigest),
    /// On a page before a login elsewhere.
    Stranger,
    /// It was answered with a yes, and its browser is at the login.
    Agreed,
}

/// A question, as it travels.
#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    stage: Stage,
    /// Two pages of the same second are two questions.
    salt: [u8; 16],
    browser: SecretDigest,
    until: UnixTime,
    client_id: ClientId,
    /// What the client said about itself.
    client: SecretDigest,
    redirect_uri: RedirectUri,
    state: Option<String>,
    challenge: CodeChallenge,
    scopes: ScopeSet,
    resource: ResourceUri,
    prompt: Prompt,
    jkt: Option<Thumbprint>,
}

/// A question that was answered, by the right browser.
#[must_use = "the answer counts only when all is checked"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Answered<'a> {
    /// Somebody was logged in when it was asked.
    OfUser(OfUser<'a>),
    /// Nobody was.
    OfStranger(OfAsked<'a>),
}

/// An answer to a question of one user.
#[must_use = "the answer is this user's or nobody's"]
pub struct OfUser<'a> {
    subject: SecretDigest,
    asked: OfAsked<'a>,
}

/// An answer of who was asked.
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
    /// Opens a question that a form carried.
    pub(crate) fn open(
        config: &'a Config,
        transaction: &Secret,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Self, PageError> {
        let asked = OfAsked::open(config, transaction, now)?;
        match asked.waiting.stage {
            Stage::User(subject) => Ok(Self::OfUser(OfUser { subject, asked: asked.at(browser)? })),
            Stage::Stranger => Ok(Self::OfStranger(asked.at(browser)?)),
            Stage::Agreed => Err(gone()),
        }
    }
}

impl<'a> OfUser<'a> {
    /// Goes on with who is logged in now.
    ///
    /// # Errors
    ///
    /// [`PageError`] when that is somebody else, or nobody.
    pub fn with_user(self, subject: Option<&Subject>) -> Result<OfAsked<'a>, PageError> {
        if subject.is_some_and(|subject| self.subject.matches(subject.as_str())) {
            return Ok(self.asked);
        }
        Err(PageError::consent(ConsentError::OtherUser))
    }
}

impl<'a> OfAsked<'a> {
    /// Opens a question that was agreed to before the login.
    pub(crate) fn after_login(
        config: &'a Config,
        transaction: &Secret,
        browser: Option<&str>,
        now: UnixTime,
    ) -> Result<Self, PageError> {
        let asked = Self::open(config, transaction, now)?;
        match asked.waiting.stage {
            Stage::Agreed => asked.at(browser),
            Stage::User(_) | Stage::Stranger => Err(gone()),
        }
    }

    fn open(config: &'a Config, transaction: &Secret, now: UnixTime) -> Result<Self, PageError> {
        let sealed = URL_SAFE_NO_PAD.decode(transaction.expose()).map_err(|_| gone())?;
        let text = config.seals().unseal(Purpose::ConsentPage, &sealed).ok_or_else(gone)?;
        let waiting: Waiting = serde_json::from_slice(text).map_err(|_| gone())?;
        // Another process may be ahead by a little. What a clock asked that was ahead by more would live too long.
        let longest = LIFETIME.saturating_mul(2);
        if now >= waiting.until || waiting.until > now.plus(longest) {
            return Err(gone());
        }
        // What else the store remembers once has other keys.
        let key = SecretDigest::of(&["answer ", transaction.expose()].concat());
        Ok(Self { config, waiting, key })
    }

    fn at(self, browser: Option<&str>) -> Result<Self, PageError> {
        if browser.is_some_and(|browser| self.waiting.browser.matches(browser)) {
            return Ok(self);
        }
        Err(PageError::consent(ConsentError::OtherBrowser))
    }

    /// The client to look up, as for the request.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.waiting.client_id
    }

    /// Goes on with the client, if there still is one. An answer counts if it is the first: remember its key as an
    /// [answer](crate::store::OnceKind::Answer).
    ///
    /// # Errors
    ///
    /// [`PageError`] when it is not what the user read about, or this server gives no such grants any more.
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
    /// The question was answered before.
    fn from(_: Replayed) -> Self {
        gone()
    }
}

impl fmt::Debug for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfUser(_) => "OfUser",
            Self::OfStranger(_) => "OfStranger",
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
