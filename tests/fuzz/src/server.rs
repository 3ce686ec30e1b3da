//! Server under the acts of all parties, and the rules that its responses have to obey.

mod authorize;

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;

use authorization_server::store::FamilyId;
use authorization_server::{
    Approved, Asking, AuthorizationRequest, Environment, NeedsConsent, PageError, RedirectError,
    Refusal, Store as _, revoke, token,
};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use oauth_types::{
    Entropy, FormPairs, FormWriter, ResourceUri, ScopeSet, SecretDigest, Subject, UnixTime,
};
use serde_json::Value;

use crate::acts::{Act, Ask, Extra, Sender, Trouble};
use crate::cast::{
    CLIENTS, REMEMBERED, RESOURCES, SCOPES, START, WEB_BASIC, authenticated, authorization_server,
    choose, look_at, parameter, verifier,
};
use crate::witness::{Fault, Witness, now};

const USER: &str = "alice";

fn user() -> Subject {
    Subject::parse(USER).unwrap()
}

/// A code as its client knows it.
struct Code {
    text: String,
    client: usize,
    redirect_uri: String,
    verifier: u8,
    scopes: ScopeSet,
    resource: ResourceUri,
}

/// What a user said yes to, on a page.
struct Agreement {
    client: usize,
    redirect_uri: String,
    scopes: ScopeSet,
    resource: ResourceUri,
    until: UnixTime,
}

/// Some element, counted back from the latest.
fn back<T>(list: &[T], number: u8) -> Option<&T> {
    let number = usize::from(number).checked_rem(list.len())?;
    list.iter().rev().nth(number)
}

/// The server, its store, and what everybody has seen of it.
pub struct Server {
    store: Witness,
    at: UnixTime,
    drawn: AtomicU64,
    /// What waits for its user, whose client it is, and which verifier that has.
    pages: Vec<(usize, u8, NeedsConsent<'static>)>,
    agreements: Vec<Agreement>,
    codes: Vec<Code>,
    refresh_tokens: Vec<String>,
    access_tokens: Vec<String>,
    /// Where each access token belongs.
    families: BTreeMap<String, FamilyId>,
    messages: Vec<Request<Bytes>>,
    /// Which refresh token is which.
    generations: BTreeMap<String, (FamilyId, u64)>,
}

impl Default for Server {
    fn default() -> Self {
        let store = Witness::default();
        for client in &authorization_server().1 {
            now(store.create_client(client.clone(), START)).unwrap();
        }
        Self {
            store,
            at: START,
            drawn: AtomicU64::new(1),
            pages: Vec::new(),
            agreements: Vec::new(),
            codes: Vec::new(),
            refresh_tokens: Vec::new(),
            access_tokens: Vec::new(),
            families: BTreeMap::new(),
            messages: Vec::new(),
            generations: BTreeMap::new(),
        }
    }
}

impl Environment for Server {
    type Store = Witness;

    fn store(&self) -> &Witness {
        &self.store
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        Some(Self::entropy(self))
    }
}

impl Server {
    pub fn act(&mut self, act: &Act) {
        self.store.expect(None);
        self.carry_out(act);
        self.store.agrees();
    }

    fn carry_out(&mut self, act: &Act) {
        match *act {
            Act::Authorize(ref ask) => self.authorize(ask),
            Act::Answer { page, allows, fault } => self.answer(page, allows, fault),
            Act::Redeem { sender, code, verifier: other, ref extra, fault } => {
                let Some(code) = back(&self.codes, code) else { return };
                let (owner, verifier) = (code.client, verifier(other.unwrap_or(code.verifier)));
                let mut form = FormWriter::new();
                form.append("grant_type", "authorization_code").append("code", &code.text);
                form.append("code_verifier", verifier.as_secret().expose());
                if extra.redirect_uri {
                    form.append("redirect_uri", &code.redirect_uri);
                }
                self.send("/token", (sender, owner), form, extra, fault);
            }
            Act::Refresh { sender, token, ref extra, fault } => {
                let Some(token) = back(&self.refresh_tokens, token) else { return };
                let mut form = FormWriter::new();
                form.append("grant_type", "refresh_token").append("refresh_token", token);
                if let Some(scope) = extra.scope {
                    form.append("scope", choose(&SCOPES, scope));
                }
                let owner = self.owner(&self.generations[token].0);
                self.send("/token", (sender, owner), form, extra, fault);
            }
            Act::Revoke { sender, token, is_access, fault } => {
                let list = if is_access { &self.access_tokens } else { &self.refresh_tokens };
                let Some(token) = back(list, token) else { return };
                let family = match self.generations.get(token) {
                    Some((family, _)) => Some(*family),
                    None => self.families.get(token).copied(),
                };
                let owner = self.owner(&family.expect("a token of a family"));
                let mut form = FormWriter::new();
                form.append("token", token);
                let extra = Extra { redirect_uri: false, scope: None, resource: None };
                self.send("/revoke", (sender, owner), form, &extra, fault);
            }
            Act::Replay { message, fault } => {
                let Some(message) = back(&self.messages, message) else { return };
                self.deliver(message.clone(), fault);
            }
            Act::Use { token } => {
                // The model behind the store looks at what comes.
                if let Some(token) = back(&self.access_tokens, token) {
                    let _ = now(self.store.access(&SecretDigest::of(token), self.at));
                }
            }
            Act::Withdraw { client } => {
                let client = client.map(|client| usize::from(client) % CLIENTS.len());
                let id = client.map(|client| &authorization_server().1[client].client_id);
                now(self.store.revoke_subject(&user(), id, self.at)).unwrap();
                self.agreements.retain(|own| client.is_some_and(|client| client != own.client));
            }
            Act::Pass { time } => {
                let times = [1, 5, 9, 10, 60, 600, 3600, 30 * 86_400, 90 * 86_400];
                self.at = self.at.saturating_add(Duration::from_secs(choose(&times, time)));
            }
            Act::Sweep { rows } => {
                now(self.store.sweep(self.at, rows.into())).unwrap();
            }
        }
    }

    /// Which client a family belongs to.
    fn owner(&self, family: &FamilyId) -> usize {
        let id = self.store.model().families[family].new.client_id.clone();
        CLIENTS.iter().position(|own| own.id == id.as_str()).expect("a known client")
    }

    fn entropy<const N: usize>(&self) -> Entropy<N> {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; N];
        bytes[..8].copy_from_slice(&drawn.to_be_bytes());
        Entropy::new(bytes)
    }

    /// Sends a form to the token or revocation endpoint.
    fn send(
        &mut self,
        path: &str,
        (sender, owner): (Sender, usize),
        mut form: FormWriter,
        extra: &Extra,
        fault: Option<Fault>,
    ) {
        if let Some(resource) = extra.resource {
            form.append("resource", choose(&RESOURCES, resource));
        }
        let mut request =
            Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let own = [Sender::Web, Sender::Native, Sender::Evil];
        match if matches!(sender, Sender::Owner) { own[owner] } else { sender } {
            Sender::Web | Sender::Owner => request = request.header(AUTHORIZATION, WEB_BASIC),
            Sender::Native => drop(form.append("client_id", "native")),
            Sender::Evil => {
                form.append("client_id", "evil").append("client_secret", "evil-secret");
            }
            Sender::AsWeb => drop(form.append("client_id", "web")),
            Sender::Guessing => {
                form.append("client_id", "web").append("client_secret", "web-secret");
            }
        }
        let request = request.body(form.finish().into()).unwrap();
        self.messages.push(request.clone());
        self.deliver(request, fault);
    }

    fn deliver(&mut self, request: Request<Bytes>, fault: Option<Fault>) {
        self.store.expect(fault);
        let is_revocation = request.uri().path() == "/revoke";
        let (at, config) = (self.at, &authorization_server().0);
        let outcome = if is_revocation {
            now(revoke(config, self, &request, at))
        } else {
            now(token(config, self, &request, at))
        };
        let answer = outcome.unwrap_or_else(Refusal::into_response);
        let status = answer.status().as_u16();
        let has_failed = self.store.model().has_failed;
        assert!(matches!(status, 200 | 400 | 401 | 503), "{status}");
        assert!(status != 503 || has_failed, "503 without a failure");
        match (is_revocation, status) {
            (false, 200) => self.issued(&request, &answer),
            (true, 200) => self.revoked(&request),
            _ => {
                let body = String::from_utf8_lossy(answer.body());
                assert!(!body.contains("_token\""), "tokens in a refusal");
                let is_lost = self.store.model().issued.is_some() && !has_failed;
                assert!(!is_lost, "a token was stored and not given");
            }
        }
    }

    /// Tokens were given: to whom they belong, for what was agreed to, and the store has them.
    fn issued(&mut self, request: &Request<Bytes>, answer: &Response<Bytes>) {
        let form = FormPairs::parse(request.body()).unwrap();
        let value = |name| form.value(name).unwrap();
        let client = authenticated(request, &form).expect("tokens for nobody");
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        let access = answer["access_token"].as_str().unwrap();
        let refresh = answer["refresh_token"].as_str().unwrap();

        let (id, stored) = self.store.model().issued.clone().expect("I4: tokens of no row");
        assert_eq!(stored.digest, SecretDigest::of(access), "I4: another token is stored");
        assert!(!self.store.model().has_failed, "I4: tokens although the store failed");
        let row = self.store.row(&stored.digest, self.at).expect("I4: a token without a row");
        assert_eq!(row.family, id);
        let family = self.store.model().families[&id].clone();
        let code = self.codes.iter().find(|own| SecretDigest::of(&own.text) == family.code);
        let code = code.expect("I4: tokens of no code");
        assert_eq!(code.client, client, "tokens for another client");
        assert_eq!(row.client_id.as_str(), CLIENTS[client].id);
        assert_eq!((row.subject.as_str(), &row.resource), (USER, &code.resource), "I5");
        assert!(!row.scopes.exceeds(&code.scopes), "I5: more than was agreed to");
        let said = ScopeSet::parse(answer["scope"].as_str().unwrap()).unwrap();
        assert_eq!(said, row.scopes, "I5: the answer says something else");
        if let Some(resource) = value("resource") {
            assert_eq!(resource, code.resource.as_str(), "I5: for another resource");
        }

        let generation = match value("refresh_token") {
            None => {
                assert_eq!(value("code"), Some(&*code.text), "tokens of another code");
                assert!(value("redirect_uri").is_none_or(|uri| uri == code.redirect_uri));
                let right = verifier(code.verifier);
                let right = right.as_secret().expose();
                assert_eq!(value("code_verifier"), Some(right), "without the verifier");
                0
            }
            Some(old) => {
                let (own, generation) = self.generations[old];
                assert_eq!(own, id, "tokens of another family");
                if let Some(scope) = value("scope") {
                    let asked = ScopeSet::parse(scope).unwrap();
                    assert!(!row.scopes.exceeds(&asked), "I5: more than was asked for");
                }
                generation + 1
            }
        };
        assert_eq!(family.generation, generation, "I2: the token that is given is not live");
        let before = self.generations.insert(refresh.to_owned(), (id, generation));
        assert!(before.is_none_or(|own| own == (id, generation)), "I2: one token, two places");
        let alike = |own: &(&String, &(FamilyId, u64))| *own.1 == (id, generation);
        assert_eq!(self.generations.iter().filter(alike).count(), 1, "I2: two live tokens");
        if before.is_none() {
            self.refresh_tokens.push(refresh.to_owned());
        }
        self.access_tokens.push(access.to_owned());
        self.families.insert(access.to_owned(), id);
    }

    /// The owner ended a family, or nobody did.
    fn revoked(&self, request: &Request<Bytes>) {
        let form = FormPairs::parse(request.body()).unwrap();
        let client = authenticated(request, &form).expect("an answer for nobody");
        let token = form.value("token").unwrap().unwrap();
        let Some((id, _)) = self.generations.get(token) else { return };
        let model = self.store.model();
        let family = &model.families[id];
        let is_owner = family.new.client_id.as_str() == CLIENTS[client].id;
        let is_swept = self.at >= family.new.expires_at;
        assert!(!is_owner || family.is_revoked || is_swept, "I3: it lives after its revocation");
    }
}

/// The authorization endpoint, up to the user; everything else is a finished answer.
pub fn check(
    store: &Witness,
    request: &Request<Bytes>,
    at: UnixTime,
) -> Result<NeedsConsent<'static>, Response<Bytes>> {
    let parsed = AuthorizationRequest::parse(&authorization_server().0, request)
        .map_err(PageError::into_response)?;
    let client = now(store.read_client(parsed.client_id())).unwrap();
    let redirectable = parsed.with_client(client, at).map_err(PageError::into_response)?;
    redirectable.check().map_err(RedirectError::into_response)
}
