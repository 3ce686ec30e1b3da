//! Chains of redirects after a consent page, held against what that page says to browsers.
//!
//! Chromium holds every hop after a form against the `form-action` of the page (CSP 3 §6.3.1). A real one goes these
//! ways in `cargo xtask browser`; here the page's own words are read.

use http::Method;
use http::header::CONTENT_SECURITY_POLICY;
use oauth_types::{CodeVerifier, Entropy};
use reqwest::Url;

use crate::our::{Ours, Settings};
use crate::script::{Failed, encode};
use crate::visitor::{Answer, Visitor, transaction};

/// Checks every chain of a file: lines `STATUS  URL` below a line `POST  URL`.
pub(crate) async fn check(file: &str) -> Result<(), Failed> {
    let chains = chains(file)?;
    for chain in &chains {
        let (page, answer) = consent().await?;
        // A page that navigates begins a chain of its own, which no form's rule concerns.
        let is_redirect = (300..400).contains(&answer.status);
        if !is_redirect && answer.leads_to().is_none() {
            return Err(format!("the answer to the form leads nowhere: {}", answer.text()));
        }
        let policy = page.header(CONTENT_SECURITY_POLICY).unwrap_or_default();
        let form_action = policy.split(';').find_map(|it| it.trim().strip_prefix("form-action"));
        let Some(sources) = form_action.filter(|_| is_redirect) else { continue };
        for hop in chain {
            let sources: Vec<_> = sources.split_ascii_whitespace().collect();
            let origin = hop.origin().ascii_serialization();
            let scheme = format!("{}:", hop.scheme());
            if !sources.iter().any(|source| [&*origin, &*scheme].contains(source)) {
                return Err(format!("`form-action {}` stops {hop}", sources.join(" ")));
            }
        }
    }
    Ok(())
}

/// The hops of each chain.
fn chains(file: &str) -> Result<Vec<Vec<Url>>, Failed> {
    let mut chains: Vec<Vec<Url>> = Vec::new();
    for line in file.lines().filter(|line| line.starts_with("  ")) {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(url)) = (words.next(), words.next()) else { continue };
        let url = Url::parse(url.trim_end_matches("...")).map_err(|error| error.to_string())?;
        match (first, chains.last_mut()) {
            ("POST", _) => chains.push(Vec::new()),
            (status, Some(chain)) if status.starts_with('3') => chain.push(url),
            _ => return Err(format!("a line has an unknown form: {line}")),
        }
    }
    if chains.is_empty() { Err("the file has no chain".into()) } else { Ok(chains) }
}

/// A consent page for a client of the web, and what the user's yes is answered.
async fn consent() -> Result<(Answer, Answer), Failed> {
    let ours = Ours::start(Settings::default()).await?;
    let mut visitor = Visitor::new();
    let redirect = "https://client.example/api/mcp/auth_callback";
    let client = format!(
        r#"{{"redirect_uris":["{redirect}"],"token_endpoint_auth_method":"none","client_name":"X"}}"#
    );
    let kind = [("content-type".to_owned(), "application/json".to_owned())];
    let register = format!("{}/register", ours.issuer);
    let registered = visitor.send(Method::POST, &register, &kind, Some(client)).await?;
    let json: serde_json::Value =
        serde_json::from_str(&registered.body).map_err(|_| registered.text())?;
    let id = json["client_id"].as_str().ok_or_else(|| registered.text())?;
    let challenge = CodeVerifier::new(Entropy::new([5; 32])).challenge();
    let url = format!(
        "{}/authorize?response_type=code&client_id={}&redirect_uri={}&code_challenge={}\
         &code_challenge_method=S256&state=abc&resource={}/mcp",
        ours.issuer,
        encode(id),
        encode(redirect),
        challenge.as_str(),
        ours.rs
    );
    let page = visitor.send(Method::GET, &url, &[], None).await?;
    let transaction = transaction(&page.body).ok_or_else(|| page.text())?;
    let answer = visitor.consent(&page, &transaction, "allow").await?;
    Ok((page, answer))
}
