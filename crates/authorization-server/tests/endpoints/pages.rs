//! The steps of the authorization endpoint and of the consent page, carried out for a browser with cookies.

use authorization_server::store::OnceKind;
use authorization_server::{
    Answered, Approved, Asking, AuthorizationRequest, ConsentAnswer, ConsentError, ConsentViewer,
    ErrorForm, NeedsConsent, OfAsked, PageError, RedirectError, Store, find_client,
};
use bytes::Bytes;
use http::header::{COOKIE, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use oauth_types::Subject;

use crate::answer::{Answer, Page};
use crate::server::{Server, draw};

/// The login of the host: who sits at a browser is the user whom the cookie `user` names.
#[derive(Clone, Copy)]
pub(crate) enum Login {
    /// A browser without that cookie is this user's.
    Everybody(&'static str),
    /// A browser without that cookie is sent to the login.
    Cookies,
    /// Such a browser is asked first, and sent to the login of another server with the answer.
    Upstream,
}

impl Default for Login {
    fn default() -> Self {
        Self::Everybody("demo")
    }
}

impl Login {
    fn user(self, headers: &HeaderMap) -> Option<Subject> {
        let name = match (cookie(headers, "user"), self) {
            (None, Self::Everybody(name)) => Some(name),
            (named, _) => named,
        };
        name.and_then(|name| Subject::parse(name).ok())
    }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(own, value)| (own == name).then_some(value))
}

/// The form in which this request is told of errors.
fn page(error: PageError, request: &Request<Bytes>) -> Answer {
    error.with_form(ErrorForm::accepted(request.headers())).into_response().into()
}

fn send_back(error: RedirectError, headers: &HeaderMap) -> Answer {
    error.with_form(ErrorForm::accepted(headers)).into_response().into()
}

fn send_to_login(return_to: &str) -> Answer {
    let response = Response::builder().status(StatusCode::SEE_OTHER);
    let response = response.header(LOCATION, format!("/login?to={return_to}"));
    response.body(Bytes::new()).unwrap().into()
}

impl<S: Store> Server<S> {
    /// The authorization endpoint.
    pub(crate) async fn authorize(&self, request: &Request<Bytes>) -> Answer {
        self.begin(request).await.unwrap_or_else(|error| page(error, request))
    }

    /// The endpoint of the consent page's form, and of the way back from a login elsewhere.
    pub(crate) async fn consent_endpoint(&self, request: &Request<Bytes>) -> Answer {
        let is_back = request.method() == Method::GET && matches!(self.login, Login::Upstream);
        let outcome =
            if is_back { self.come_back(request).await } else { self.decided(request).await };
        outcome.unwrap_or_else(|error| page(error, request))
    }

    async fn begin(&self, received: &Request<Bytes>) -> Result<Answer, PageError> {
        let (config, headers, now) = (&self.config, received.headers(), self.now());
        let parsed = AuthorizationRequest::parse(config, received)?;
        let return_to = parsed.return_to();
        let client = find_client(config, self, parsed.client_id()).await;
        let client = client.map_err(PageError::client)?;
        let user = self.login.user(headers);
        let request = match parsed.with_client(client, now)?.check() {
            Ok(request) => request,
            Err(error) => {
                return Ok(send_back(self.for_user(error, user.as_ref()).await, headers));
            }
        };
        let Some(user) = user else {
            return match request.without_user() {
                Ok(request) if matches!(self.login, Login::Upstream) => {
                    self.ask(&request, None, headers)
                }
                Ok(_) => Ok(send_to_login(&return_to)),
                Err(error) => Ok(send_back(error, headers)),
            };
        };
        let lookup = request.with_user(user.clone());
        let remembered = match lookup.key() {
            Some(key) => self.store.read_consent(key).await.map_err(PageError::store)?,
            None => None,
        };
        match lookup.with_consent(remembered, now) {
            Ok(Asking::Ask(request)) => self.ask(&request, Some(&user), headers),
            Ok(Asking::Agreed(agreed)) => Ok(self.send_code(agreed.approve(draw(), now)).await),
            Err(error) => Ok(send_back(error, headers)),
        }
    }

    async fn for_user(&self, error: RedirectError, user: Option<&Subject>) -> RedirectError {
        let Some(user) = user.filter(|_| error.needs_user()) else { return error };
        let consent = match error.consent_key(user) {
            Some(key) => self.store.read_consent(&key).await.unwrap(),
            None => None,
        };
        error.with_user(user, consent.as_ref(), self.now())
    }

    fn ask(
        &self,
        request: &NeedsConsent<'_>,
        user: Option<&Subject>,
        headers: &HeaderMap,
    ) -> Result<Answer, PageError> {
        let asked = user.map_or(ConsentViewer::Anonymous(None), ConsentViewer::User);
        let sent = cookie(headers, "browser");
        let question = request.ask(asked, sent, draw(), self.now())?;
        let headers = request.page_headers("nonce");
        let page = Page {
            client_name: request.client_name().map(str::to_owned),
            scopes: request.scopes().clone(),
            is_native: request.is_native(),
            question,
        };
        Ok(Answer { status: StatusCode::OK, headers, body: Bytes::new(), page: Some(page) })
    }

    async fn decided(&self, received: &Request<Bytes>) -> Result<Answer, PageError> {
        let (config, headers) = (&self.config, received.headers());
        let answer = ConsentAnswer::parse(config, received)?;
        let (browser, user) = (cookie(headers, "browser"), self.login.user(headers));
        match answer.open(browser, self.now())? {
            Answered::OfUser(asked) => {
                let request = self.take(asked.with_user(user.as_ref())?).await?;
                match user {
                    Some(user) if answer.allows() => Ok(self.approve(request, user).await),
                    _ => Ok(request.deny().into()),
                }
            }
            Answered::OfAnonymous(asked) => {
                let return_to = asked.return_to(draw(), self.now())?;
                let request = self.take(asked).await?;
                if !answer.allows() {
                    return Ok(request.deny().into());
                }
                match user {
                    // Logged in meanwhile, in another tab.
                    Some(user) => Ok(self.approve(request, user).await),
                    None => Ok(send_to_login(&return_to)),
                }
            }
        }
    }

    async fn come_back(&self, received: &Request<Bytes>) -> Result<Answer, PageError> {
        let headers = received.headers();
        let browser = cookie(headers, "browser");
        let agreed = ConsentAnswer::after_login(&self.config, received, browser, self.now())?;
        let Some(user) = self.login.user(headers) else {
            return Err(PageError::consent(ConsentError::OtherUser));
        };
        let request = self.take(agreed).await?;
        Ok(self.approve(request, user).await)
    }

    async fn take<'a>(&'a self, asked: OfAsked<'a>) -> Result<NeedsConsent<'a>, PageError> {
        let (config, now) = (&self.config, self.now());
        let client = find_client(config, self, asked.client_id()).await;
        let first = asked.with_client(client.map_err(PageError::client)?, now)?;
        let outcome = self.store.put_once(OnceKind::Answer, first.key(), first.until(), now).await;
        Ok(first.resume(outcome.map_err(PageError::store)?)?)
    }

    async fn approve(&self, request: NeedsConsent<'_>, user: Subject) -> Answer {
        self.send_code(request.approve(user, draw(), self.now())).await
    }

    async fn send_code(&self, approved: Approved<'_>) -> Answer {
        let outcome = self.store.insert_code(approved.record().clone()).await;
        if outcome.is_ok()
            && let Some(consent) = approved.consent()
        {
            self.store.put_consent(consent.clone()).await.unwrap();
        }
        let outcome = approved.stored(outcome);
        outcome.unwrap_or_else(RedirectError::into_response).into()
    }
}
