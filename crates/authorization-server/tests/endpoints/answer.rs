//! What an endpoint answered.

use authorization_server::Question;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Response, StatusCode};
use oauth_types::{FormPairs, ScopeSet};
use serde_json::Value;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the page asks, if it asks the user.
    pub(crate) page: Option<Page>,
}

/// A consent page, before it is written.
pub(crate) struct Page {
    pub(crate) client_name: Option<String>,
    pub(crate) scopes: ScopeSet,
    pub(crate) is_native: bool,
    pub(crate) question: Question,
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body, page: None }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn html(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A parameter of the redirect.
    pub(crate) fn redirect(&self, name: &'static str) -> Option<String> {
        let form = FormPairs::parse(self.header(LOCATION).split_once('?')?.1.as_bytes()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    /// A parameter of the address that a page's link leads to, when nothing is a redirect.
    pub(crate) fn link(&self, name: &'static str) -> Option<String> {
        assert_eq!(self.status, StatusCode::BAD_REQUEST);
        assert!(!self.headers.contains_key(LOCATION) && !self.html().contains("http-equiv"));
        let (_, rest) = self.html().split_once("<a rel=\"noreferrer\" href=\"")?;
        let url = rest.split_once('"').unwrap().0.replace("&amp;", "&");
        let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    /// The page that asks the user.
    pub(crate) fn asked(&self) -> &Page {
        self.page.as_ref().unwrap()
    }

    /// The cookie that tells the page's browser apart.
    pub(crate) fn cookie(&self) -> String {
        format!("browser={}", self.asked().question.browser.expose())
    }

    /// What the page's form carries.
    pub(crate) fn transaction(&self) -> String {
        self.asked().question.transaction.expose().to_owned()
    }
}
