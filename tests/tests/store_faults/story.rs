//! All that is done on a store, from a client's registration to its end. Whoever is refused for now tries again; whoever
//! lost what they had begins anew.

use authorization_server::Store;
use authorization_server::store::FamilyId;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::{CodeVerifier, Entropy, FormWriter, SecretDigest, Subject};
use serde_json::json;

use crate::site::{APP, Answer, DPOP, MACHINE, MCP, Site, id, plain};

const BACK: &str = "https://app.example/cb";
/// base64("rs:secret")
const ASKER: HeaderValue = HeaderValue::from_static("Basic cnM6c2VjcmV0");

/// What somebody has after a login.
pub(crate) struct Held {
    pub(crate) code: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Held {
    pub(crate) fn new(code: &str, answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let (access, refresh) = (text("access_token"), text("refresh_token"));
        Self { code: code.to_owned(), access, refresh }
    }
}

/// What is left of a family: whether it is a machine's, its generation, whether it is over.
pub(crate) type Left = (bool, u64, bool);

/// What came of it all.
#[derive(Default, Debug)]
pub(crate) struct Told {
    /// What was answered in the end, in order.
    pub(crate) answers: Vec<String>,
    /// How often an answer was another than without faults, because something was lost.
    pub(crate) strayed: usize,
    /// The families at the end, before the operator ends all of them.
    pub(crate) left: Vec<Left>,
    /// Those that were ended, and have to stay so.
    over: Vec<FamilyId>,
}

/// A site, and what is told of it.
pub(crate) struct Story<'a, S> {
    site: &'a Site<S>,
    told: Told,
    /// Whether the user agreed before.
    was_asked: bool,
}

fn verifier() -> CodeVerifier {
    CodeVerifier::new(Entropy::new([5; 32]))
}

impl<'a, S: Store + 'static> Story<'a, S> {
    pub(crate) fn new(site: &'a Site<S>) -> Self {
        Self { site, told: Told::default(), was_asked: false }
    }

    /// All of it.
    pub(crate) async fn tell(site: &'a Site<S>) -> Told {
        let mut story = Self::new(site);
        let client = story.register().await;
        story.replay(&client).await;
        story.reuse(&client).await;
        // By now tokens have expired, which a login may sweep.
        site.advance(700);
        story.revoke(&client).await;
        story.machine().await;
        let (bound, last) = (story.bound(&client).await, story.log_in(&client, false).await);
        story.told.left = story.left().await;
        story.end(&client, &[&bound, &last]).await;
        story.judge().await;
        story.told
    }

    fn note(&mut self, what: &str, answer: impl core::fmt::Display) {
        self.told.answers.push(format!("{what}: {answer}"));
    }

    fn note_error(&mut self, what: &str, answer: &Answer) {
        self.note(what, format_args!("{} {}", answer.status.as_u16(), answer.error()));
    }

    pub(crate) async fn register(&mut self) -> String {
        let metadata = json!({
            "redirect_uris": [BACK],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let answer = self.site.json("/register", &metadata).await;
        self.note("registration", answer.status);
        // Its users are asked once, so that what is remembered has a part in the story: the configuration names it.
        let (store, registered) =
            (self.site.store.inner(), id(answer.json()["client_id"].as_str().unwrap()));
        let mut client = store.read_client(&registered).await.unwrap().unwrap();
        client.client_id = id(APP);
        store.create_client(client, self.site.now()).await.unwrap();
        APP.to_owned()
    }

    pub(crate) fn authorize(client: &str) -> String {
        let challenge = verifier().challenge();
        let mut form = FormWriter::new();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", BACK),
            ("state", "s"),
            ("scope", "files:read"),
            ("resource", MCP),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ] {
            form.append(name, value);
        }
        format!("/authorize?{}", form.as_str())
    }

    /// A code, if there is one; whether the user was asked.
    pub(crate) async fn code(&self, client: &str) -> (Option<String>, bool) {
        let page = self.site.get(&Self::authorize(client)).await;
        let is_asked = page.status == StatusCode::OK;
        let answer = if is_asked {
            let cookie = HeaderValue::try_from(page.cookie()).unwrap();
            let headers = HeaderMap::from_iter([(COOKIE, cookie)]);
            let form = format!("transaction={}&decision=allow", page.transaction());
            let own = || (headers.clone(), String::new());
            self.site.form("/authorize/consent", &form, own).await
        } else {
            page
        };
        // Whether this answer was the first nobody knows, so that it is none.
        if is_asked && answer.status == StatusCode::BAD_REQUEST {
            return (None, is_asked);
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let (code, error) = (answer.redirect("code"), answer.redirect("error"));
        // A browser is led back to its client, which hears why there is no code.
        let expected = code.is_none().then_some("temporarily_unavailable");
        assert_eq!(error.as_deref(), expected);
        (code, is_asked)
    }

    /// A login, begun again where something was lost.
    pub(crate) async fn log_in(&mut self, client: &str, is_bound: bool) -> Held {
        for _ in 0..3 {
            let (code, is_asked) = self.code(client).await;
            // An answer that could not be remembered is asked for again.
            self.told.strayed += usize::from(is_asked && self.was_asked);
            assert!(is_asked || self.was_asked);
            // A yes of which no code came is not remembered.
            self.was_asked |= code.is_some();
            if let Some(code) = code {
                let answer = self.redeem(client, &code, is_bound).await;
                if answer.status == StatusCode::OK {
                    self.note("login", &answer.json()["token_type"]);
                    return Held::new(&code, &answer);
                }
                // It was redeemed, and nobody heard of it: whatever came of it is over.
                assert_eq!(answer.error(), "invalid_grant");
            }
            self.told.strayed += 1;
        }
        panic!("no login");
    }

    pub(crate) async fn redeem(&self, client: &str, code: &str, is_bound: bool) -> Answer {
        let verifier = verifier();
        let form = format!(
            "grant_type=authorization_code&client_id={client}&code={code}&code_verifier={}",
            verifier.as_secret().expose()
        );
        self.site.form("/token", &form, || self.proof(is_bound)).await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str, is_bound: bool) -> Answer {
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        self.site.form("/token", &form, || self.proof(is_bound)).await
    }

    /// A fresh proof for each attempt.
    fn proof(&self, is_bound: bool) -> (HeaderMap, String) {
        let proof = is_bound.then(|| (DPOP, self.site.proof(None)));
        (proof.into_iter().collect(), String::new())
    }

    async fn call(&mut self, what: &str, token: &str) {
        let status = self.site.call(token, || None).await;
        self.note(what, status);
    }

    /// The family of a token, which has to be over from now on.
    async fn ends(&mut self, held: &Held) {
        let digest = SecretDigest::of(&held.access);
        let known = self.site.store.inner().access(&digest, self.site.now()).await.unwrap();
        self.told.over.extend(known.map(|known| known.family));
    }

    /// A refresh, its answer again, and the code again.
    async fn replay(&mut self, client: &str) {
        let first = self.log_in(client, false).await;
        self.call("a token", &first.access).await;
        let next = Held::new(&first.code, &self.refresh(client, &first.refresh, false).await);
        let again = Held::new(&first.code, &self.refresh(client, &first.refresh, false).await);
        assert_eq!(again.refresh, next.refresh, "one successor");
        assert_ne!(next.refresh, first.refresh);
        for held in [&first, &next, &again] {
            self.call("a token of a family", &held.access).await;
        }
        self.ends(&next).await;
        let answer = self.redeem(client, &first.code, false).await;
        self.note_error("a code again", &answer);
        let answer = self.refresh(client, &next.refresh, false).await;
        self.note_error("its refresh token", &answer);
        for held in [&first, &next, &again] {
            self.call("its token", &held.access).await;
        }
    }

    /// A refresh token that was used long ago.
    async fn reuse(&mut self, client: &str) {
        let first = self.log_in(client, false).await;
        let next = Held::new(&first.code, &self.refresh(client, &first.refresh, false).await);
        self.site.advance(11);
        self.ends(&next).await;
        for held in [&first, &next] {
            let answer = self.refresh(client, &held.refresh, false).await;
            self.note_error("a family that was reused", &answer);
            self.call("its token", &held.access).await;
        }
    }

    /// A client that ends its own tokens, and the resource server that asks.
    async fn revoke(&mut self, client: &str) {
        for is_refresh in [true, false] {
            let held = self.log_in(client, false).await;
            self.introspect(&held).await;
            self.ends(&held).await;
            let token = if is_refresh { &held.refresh } else { &held.access };
            for _ in 0..2 {
                let form = format!("client_id={client}&token={token}");
                let answer = self.site.form("/revoke", &form, plain).await;
                self.note_error("revocation", &answer);
                self.introspect(&held).await;
            }
            self.call("a revoked token", &held.access).await;
            let answer = self.refresh(client, &held.refresh, false).await;
            self.note_error("a revoked refresh token", &answer);
        }
    }

    async fn introspect(&mut self, held: &Held) {
        let form = format!("token={}", held.access);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, ASKER)]);
        let own = || (headers.clone(), String::new());
        let answer = self.site.form("/introspect", &form, own).await;
        self.note("introspection", &answer.json()["active"]);
    }

    /// A client that acts for itself, and shows an assertion twice.
    async fn machine(&mut self) {
        let mut shown = String::new();
        let form = "grant_type=client_credentials&";
        let answer = self.site.form("/token", form, || {
            shown = self.site.assertion();
            (HeaderMap::new(), shown.clone())
        });
        let held = Held::new("", &answer.await);
        self.call("a machine's token", &held.access).await;
        let own = || (HeaderMap::new(), shown.clone());
        let answer = self.site.form("/token", form, own).await;
        self.note_error("an assertion again", &answer);
    }

    /// Tokens that are bound to a key, and a proof that is shown twice.
    async fn bound(&mut self, client: &str) -> Held {
        let first = self.log_in(client, true).await;
        let answer = self.refresh(client, &first.refresh, false).await;
        self.note_error("a bound refresh token without its key", &answer);
        let held = Held::new(&first.code, &self.refresh(client, &first.refresh, true).await);
        let mut shown = None;
        let status = self.site.call(&held.access, || {
            shown = Some(self.site.proof(Some(&held.access)));
            shown.clone()
        });
        let status = status.await;
        self.note("a bound token", status);
        let status = self.site.call(&held.access, || shown.clone()).await;
        self.note("a proof again", status);
        held
    }

    /// The operator ends what a user agreed to, and the client.
    async fn end(&mut self, client: &str, held: &[&Held]) {
        let (site, client_id) = (self.site, id(client));
        for held in held {
            self.ends(held).await;
        }
        let now = site.now();
        site.operate(async || {
            site.store.revoke_subject(&Subject::parse("demo").unwrap(), Some(&client_id), now).await
        })
        .await;
        for held in held {
            let status = site.call(&held.access, || Some(site.proof(Some(&held.access)))).await;
            self.note("a withdrawn token", status);
        }
        let (_, is_asked) = self.code(client).await;
        self.note("a user who withdrew is asked", is_asked);
        site.operate(async || site.store.delete_client(&client_id, now).await).await;
        let page = site.get(&Self::authorize(client)).await;
        self.note("a deleted client's login", page.status);
        for held in held {
            let answer = self.refresh(client, &held.refresh, false).await;
            self.note_error("a deleted client's refresh token", &answer);
        }
    }

    /// The families, each as it is.
    async fn left(&self) -> Vec<Left> {
        let store = &self.site.store;
        let mut left = Vec::new();
        for family in store.done().families {
            if let Some(record) = store.inner().read_family(&family).await.unwrap() {
                let is_machine = record.client_id.as_str() == MACHINE;
                left.push((is_machine, record.generation.get(), record.revoked));
            }
        }
        left.sort_unstable();
        left
    }

    /// What must not have happened, whatever was answered.
    async fn judge(&self) {
        let done = self.site.store.done();
        assert!(done.redeemed.values().all(|times| *times == 1), "{done:?}");
        assert!(done.rotated.values().all(|times| *times == 1), "{done:?}");
        for family in &self.told.over {
            let record = self.site.store.inner().read_family(family).await.unwrap();
            assert!(record.is_none_or(|record| record.revoked), "{family:?}");
        }
    }
}
