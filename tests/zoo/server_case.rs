//! Requests that real clients send, against our own servers.

use http::Method;
use http::header::CONTENT_TYPE;
use oauth_types::{CodeVerifier, Entropy};
use serde_json::Value;

use crate::our::{Ours, Settings};
use crate::script::{Failed, Values, fill, headers, known, text, texts};
use crate::visitor::{Answer, Visitor, told};

const STEP: [&str; 9] =
    ["at", "method", "path", "headers", "json", "form", "text", "agree", "expect"];

/// The answers to the steps of a file; `None` where a step had nothing to go on with.
pub(crate) async fn answers(file: &Value) -> Result<Vec<Option<Answer>>, Failed> {
    known(file, "the file", &["source", "what", "documents", "private_use", "steps"])?;
    let ours = Ours::start(settings(file)?).await?;
    let verifier = CodeVerifier::new(Entropy::new([5; 32]));
    let mut values = Values::from([
        ("rs".to_owned(), ours.rs.clone()),
        ("as".to_owned(), ours.issuer.clone()),
        ("challenge".to_owned(), verifier.challenge().as_str().to_owned()),
        ("verifier".to_owned(), verifier.as_secret().expose().to_owned()),
    ]);
    let steps = file["steps"].as_array().ok_or("the file has no steps")?;
    let (mut visitor, mut answers) = (Visitor::new(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        known(step, "a step", &STEP)?;
        known(&step["expect"], "expect", &["status", "has", "has_not"])?;
        let path = text(step, "path").unwrap_or_default();
        let at = |failed| format!("step {} ({path}): {failed}", number + 1);
        let is_free = step["expect"].as_object().is_some_and(serde_json::Map::is_empty);
        match send(step, &values, &mut visitor).await {
            Ok(answer) => {
                holds(&step["expect"], step["method"] == "OPTIONS", &answer).map_err(at)?;
                capture(&answer, &mut values);
                answers.push(Some(answer));
            }
            // A step that expects nothing may follow from one that was refused.
            Err(failed) if is_free && failed.starts_with("no earlier answer") => answers.push(None),
            Err(failed) => return Err(at(failed)),
        }
    }
    Ok(answers)
}

fn settings(file: &Value) -> Result<Settings, Failed> {
    let documents = file["documents"].as_object().into_iter().flatten();
    let documents = documents.map(|(url, answer)| (url.clone(), answer.clone())).collect();
    let private_use = match &file["private_use"] {
        Value::Null | Value::Bool(false) => Vec::new(),
        Value::Bool(true) => schemes(file),
        Value::Array(_) => texts(&file["private_use"]).into_iter().map(str::to_owned).collect(),
        other => return Err(format!("`private_use` is {other}")),
    };
    Ok(Settings { private_use, documents, ..Settings::default() })
}

/// The private-use schemes of the redirect URIs that the file registers.
fn schemes(file: &Value) -> Vec<String> {
    let steps = file["steps"].as_array().into_iter().flatten().map(|step| &step["json"]);
    let documents = file["documents"].as_object().into_iter().flatten().map(|(_, it)| &it["json"]);
    let uris = steps.chain(documents).flat_map(|client| texts(&client["redirect_uris"]));
    let schemes = uris.filter_map(|uri| uri.split_once(':')).map(|(scheme, _)| scheme.to_owned());
    schemes.filter(|scheme| !["http", "https"].contains(&scheme.as_str())).collect()
}

async fn send(step: &Value, values: &Values, visitor: &mut Visitor) -> Result<Answer, Failed> {
    let path = fill(text(step, "path").unwrap_or_default(), values, true)?;
    let origin = match text(step, "at") {
        Some(at @ ("rs" | "as")) => &values[at],
        other => return Err(format!("a step is at {other:?}")),
    };
    let url = format!("{origin}{path}");
    let mut lines = Vec::new();
    for (name, value) in headers(step) {
        lines.push((name, fill(&value, values, false)?));
    }
    let method = text(step, "method").unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let (kind, body) = if let Some(form) = text(step, "form") {
        (Some("application/x-www-form-urlencoded"), Some(fill(form, values, true)?))
    } else if let Some(text) = text(step, "text") {
        (None, Some(fill(text, values, false)?))
    } else if step["json"].is_null() {
        (None, None)
    } else {
        (Some("application/json"), Some(fill(&step["json"].to_string(), values, false)?))
    };
    let says_kind = lines.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(kind) = kind.filter(|_| !says_kind) {
        lines.push((CONTENT_TYPE.to_string(), kind.to_owned()));
    }
    if step["agree"] == true {
        return visitor.agree(&url, &lines).await;
    }
    visitor.send(method, &url, &lines, body).await
}

fn holds(expect: &Value, is_preflight: bool, answer: &Answer) -> Result<(), Failed> {
    let told = || told(&answer.text());
    if let Some(status) = expect["status"].as_u64()
        && status != u64::from(answer.status)
    {
        return Err(format!("expected {status}, got {}", told()));
    }
    // Names of headers in a preflight's answer are compared without case.
    let whole = answer.text();
    let has = |part: &str| {
        let lower = || whole.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
        whole.contains(part) || (is_preflight && lower())
    };
    if let Some(part) = texts(&expect["has"]).into_iter().find(|part| !has(part)) {
        return Err(format!("no `{part}` in {}", told()));
    }
    match texts(&expect["has_not"]).into_iter().find(|part| has(part)) {
        Some(part) => Err(format!("`{part}` in {}", told())),
        None => Ok(()),
    }
}

/// Remembers the text members of an answer, and the parameters of a redirect.
fn capture(answer: &Answer, values: &mut Values) {
    if let Ok(Value::Object(members)) = serde_json::from_str(&answer.body) {
        let texts =
            members.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.into())));
        values.extend(texts);
    }
    if let Some(url) = answer.leads_to() {
        values.extend(url.query_pairs().into_owned());
    }
}
