//! A user with a browser at our own servers: follows pages, and says yes.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method};
use reqwest::{Client, Url};

use crate::script::Failed;

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Target of a redirect, or of a page that navigates by itself.
    pub(crate) fn leads_to(&self) -> Option<Url> {
        if (300..400).contains(&self.status) {
            return self.url.join(self.header(LOCATION)?).ok();
        }
        let (_, refresh) = self.body.split_once("http-equiv=\"refresh\"")?;
        let (_, url) = refresh.split_once("url=")?;
        let url = url.split(['"', '\'']).next()?.replace("&amp;", "&").replace("&#x3D;", "=");
        self.url.join(&url).ok()
    }

    /// Status, header lines, target of a redirect, and body, as one text.
    pub(crate) fn text(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| {
            format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
        });
        let leads_to = self.leads_to().map_or_else(String::new, |url| url.to_string());
        format!("{}\n{}\n{leads_to}\n\n{}", self.status, lines.collect::<String>(), self.body)
    }
}

/// A text of an answer for people: without the style sheet of a page.
pub(crate) fn told(text: &str) -> String {
    match (text.split_once("<style"), text.split_once("</style>")) {
        (Some((before, _)), Some((_, after))) => format!("{before}..{after}"),
        _ => text.to_owned(),
    }
}

/// A browser with its cookies.
pub(crate) struct Visitor {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn new() -> Self {
        let none = reqwest::redirect::Policy::none();
        let http = Client::builder().redirect(none).no_proxy().build().unwrap();
        Self { http, cookies: BTreeMap::new() }
    }

    /// Sends one request, and follows nothing.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
        body: Option<String>,
    ) -> Result<Answer, Failed> {
        let url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        let mut request = self.http.request(method, url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| format!("{url}: {error}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.map_err(|error| error.to_string())?;
        for line in headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            let pair = line.split(';').next().and_then(|pair| pair.split_once('='));
            self.cookies.extend(pair.map(|(name, value)| (name.into(), value.into())));
        }
        Ok(Answer { url, status, headers, body })
    }

    fn cookie(&self) -> (String, String) {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (COOKIE.to_string(), pairs.join("; "))
    }

    /// Follows pages of this origin and says yes, until something leads away or nothing leads on.
    pub(crate) async fn agree(
        &mut self,
        url: &str,
        headers: &[(String, String)],
    ) -> Result<Answer, Failed> {
        let mut answer = self.send(Method::GET, url, headers, None).await?;
        for _ in 0..10 {
            let own = answer.url.origin();
            if let Some(transaction) = transaction(&answer.body) {
                answer = self.consent(&answer, &transaction, "allow").await?;
                continue;
            }
            match answer.leads_to() {
                Some(url) if url.origin() == own => {
                    let cookie = [self.cookie()];
                    answer = self.send(Method::GET, url.as_str(), &cookie, None).await?;
                }
                _ => return Ok(answer),
            }
        }
        Err("the pages lead round in a circle".into())
    }

    /// Answers a consent page.
    pub(crate) async fn consent(
        &mut self,
        page: &Answer,
        transaction: &str,
        decision: &str,
    ) -> Result<Answer, Failed> {
        let form = page.body.split_once("<form").map_or("", |(_, form)| form);
        let action = form.split_once("action=\"").and_then(|(_, rest)| rest.split_once('"'));
        let action = action.map_or("/authorize/consent", |(action, _)| action);
        let url = page.url.join(action).map_err(|error| error.to_string())?;
        let kind = (CONTENT_TYPE.to_string(), "application/x-www-form-urlencoded".to_owned());
        let origin = ("origin".to_owned(), page.url.origin().ascii_serialization());
        let body = format!("transaction={transaction}&decision={decision}");
        let headers = [kind, origin, self.cookie()];
        self.send(Method::POST, url.as_str(), &headers, Some(body)).await
    }
}

/// The transaction that a consent page is about.
pub(crate) fn transaction(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("name=\"transaction\" value=\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}
