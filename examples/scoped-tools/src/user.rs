//! Scripted user: reads the consent page and answers it, without a browser.

use anyhow::Context as _;
use client_flow::BrowserRequest;
use futures::future::BoxFuture;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use mcp_authz_reqwest::{UserAgent, VisitError};
use oauth_types::{FormWriter, RedirectUri};

/// Scripted browser of a login, with cookies, form and redirect.
#[derive(Debug)]
pub(crate) struct ScriptedUser {
    http: reqwest::Client,
    redirect_uri: RedirectUri,
}

impl ScriptedUser {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        // Without a listener, because the scripted user reads the redirect instead of following it.
        let redirect_uri = RedirectUri::parse("http://127.0.0.1/callback")?;
        Ok(Self { http, redirect_uri })
    }

    /// Opens the page and presses a button; returns the URL to which the server redirects.
    async fn decide(&self, url: &str, decision: &str) -> Option<String> {
        let page = self.http.get(url).send().await.ok()?;
        let base = page.url().clone();
        let cookies: Vec<String> = page
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|cookie| Some(cookie.to_str().ok()?.split(';').next()?.to_owned()))
            .collect();
        let html = page.text().await.ok()?;
        let mut form = FormWriter::new();
        for (name, value) in hidden_fields(&html) {
            form.append(name, value);
        }
        form.append("decision", decision);
        let action = between(&html, "action=\"", "\"").unwrap_or_default();
        let answer = self
            .http
            .post(base.join(action).ok()?)
            .header(COOKIE, cookies.join("; "))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", base.origin().ascii_serialization())
            .body(form.finish())
            .send()
            .await
            .ok()?;
        Some(answer.headers().get(LOCATION)?.to_str().ok()?.to_owned())
    }
}

/// Answers the consent page at `url` and follows the redirect to the waiting client.
pub(crate) async fn answer(url: &str, deny: bool) -> anyhow::Result<()> {
    let user = ScriptedUser::new()?;
    let callback = user.decide(url, if deny { "deny" } else { "allow" }).await;
    let callback = callback.context("there is no consent page of ours")?;
    let page = user.http.get(&callback).send().await.context("nobody waits for the browser")?;
    anyhow::ensure!(page.status().is_success(), "the client answers {}", page.status());
    println!("{}", page.text().await?.trim());
    Ok(())
}

/// Returns the names and values of the hidden inputs of the consent page.
fn hidden_fields(html: &str) -> impl Iterator<Item = (&str, &str)> {
    html.split("<input ").skip(1).filter_map(|input| {
        let input = input.split('>').next()?;
        input.contains("type=\"hidden\"").then_some(())?;
        Some((between(input, "name=\"", "\"")?, between(input, "value=\"", "\"")?))
    })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

impl UserAgent for ScriptedUser {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(
            async move { self.decide(visit.url(), "allow").await.ok_or(VisitError::NoBrowser) },
        )
    }
}

/// Browser that an attacker's page redirects to the client.
///
/// The callback has the right `state` and the response of another authorization server.
#[derive(Debug)]
pub(crate) struct ForgedReturn {
    pub(crate) redirect_uri: RedirectUri,
    /// Query of the forged callback, to which `state` is added.
    pub(crate) forged: &'static str,
}

impl UserAgent for ForgedReturn {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        let state = between(visit.url(), "&state=", "&").unwrap_or_default();
        let callback = format!("{}?state={state}&{}", self.redirect_uri, self.forged);
        Box::pin(async move { Ok(callback) })
    }
}
