//! Documents of clients: what is at each URL, and how often it was fetched.

use std::collections::BTreeMap;
use std::sync::Mutex;

use authorization_server::DocumentRefused;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use oauth_types::ClientMetadataUrl;

/// What is at each URL, a status and a body; and which were fetched.
#[derive(Default)]
pub(crate) struct Web {
    pages: Mutex<BTreeMap<String, (u16, String)>>,
    asked: Mutex<Vec<String>>,
}

impl Web {
    pub(crate) fn put(&self, url: &str, status: u16, body: &impl ToString) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, body.to_string()));
    }

    /// How many documents were fetched.
    pub(crate) fn fetched(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn asked(&self, url: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|own| *own == url).count()
    }

    pub(crate) fn fetch(
        &self,
        url: &ClientMetadataUrl,
    ) -> Result<Response<Bytes>, DocumentRefused> {
        let url = url.as_url().as_str();
        self.asked.lock().unwrap().push(url.to_owned());
        let page = self.pages.lock().unwrap().get(url).cloned();
        let (status, body) = page.ok_or(DocumentRefused::Unreachable)?;
        let answer = Response::builder().status(status);
        Ok(answer.header(CONTENT_TYPE, "application/json").body(Bytes::from(body)).unwrap())
    }
}
