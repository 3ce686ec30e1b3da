//! Checks of vector rows, one function for each format.

#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what it lacks")]

use client_auth::{ClientAuthRecord, ClientCredentials, Presented, Reason};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use iss_validate::{Callback, Expected, Validated};
use oauth_types::{
    AuthMethod, BearerChallenge, BearerErrorCode, ClientId, EndpointUrl, ErrorDescription,
    FormPairs, FormWriter, InvalidUri, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret, State,
    UnixTime, authorization_server_urls, protected_resource_url, protected_resource_urls,
};
use serde_json::{Map, Value, json};

/// Check of one row; the error is the actual result.
pub type Check = fn(&Value) -> Result<(), Value>;

fn same(row: &Value, got: Value) -> Result<(), Value> {
    if row["expect"] == got { Ok(()) } else { Err(got) }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Returns a text member, even an empty one.
fn optional<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str()
}

/// Checks a row of `www_authenticate.json`: members of the first useful challenge.
///
/// # Errors
///
/// The actual members.
pub fn www_authenticate(row: &Value) -> Result<(), Value> {
    let lines = row["input"]["headers"].as_array().cloned().unwrap_or_default();
    let values = lines.iter().filter_map(|line| HeaderValue::from_str(line.as_str()?).ok());
    let headers: HeaderMap = values.map(|value| (WWW_AUTHENTICATE, value)).collect();
    let found = BearerChallenge::from_headers(&headers).unwrap_or_default();
    let mut got = Map::new();
    let mut add = |name: &str, value: Option<&str>| {
        got.extend(value.map(|value| (name.to_owned(), value.into())));
    };
    add("error", found.error.as_ref().map(BearerErrorCode::as_str));
    add("scope", found.scope.as_ref().map(ScopeSet::as_str));
    add("resource_metadata", found.resource_metadata.as_ref().map(EndpointUrl::as_str));
    // The parsed description is cleaned for display, so the expected one is cleaned as well.
    let described = found.error_description.as_ref().map(ErrorDescription::as_str);
    let expected = optional(&row["expect"], "error_description");
    let cleaned = expected.map(ErrorDescription::new);
    if described == cleaned.as_ref().map(ErrorDescription::as_str) {
        add("error_description", expected);
    } else {
        add("error_description", described);
    }
    same(row, got.into())
}

/// Checks a row of `scope_union.json`.
///
/// # Errors
///
/// The actual union.
pub fn scope_union(row: &Value) -> Result<(), Value> {
    let scopes = row["input"]["scopes"].as_array().cloned().unwrap_or_default();
    let union = scopes
        .iter()
        .filter_map(Value::as_str)
        .try_fold(ScopeSet::empty(), |union, text| union.union(&ScopeSet::parse(text)?));
    same(
        row,
        match union {
            Err(_) => json!({"invalid": true}),
            Ok(union) if union.is_empty() => json!({"union": null}),
            Ok(union) => json!({"union": union.as_str()}),
        },
    )
}

/// Checks a row of `scope_superset.json`.
///
/// # Errors
///
/// The actual decision.
pub fn scope_superset(row: &Value) -> Result<(), Value> {
    let set = |name| ScopeSet::parse(text(&row["input"], name));
    let (Ok(requested), Ok(granted)) = (set("requested"), set("granted")) else {
        return same(row, json!({"invalid": true}));
    };
    let exceeds = requested.exceeds(&granted);
    let strict = exceeds && !granted.exceeds(&requested);
    same(row, json!({"exceeds_granted": exceeds, "strict_superset": strict}))
}

/// Checks a row of `iss_validation.json`.
///
/// # Errors
///
/// The actual outcome.
pub fn iss_validation(row: &Value) -> Result<(), Value> {
    let input = &row["input"];
    let outcome = |outcome: &str| json!({"outcome": outcome});
    if text(input, "kind") == "metadata" {
        let asked = Issuer::parse(text(input, "discovery_issuer"));
        let is_same = asked.is_ok_and(|asked| asked.is(text(input, "metadata_issuer")));
        return same(row, outcome(if is_same { "accept" } else { "reject" }));
    }
    let issuer = optional(input, "expected_issuer").map(Issuer::parse).transpose();
    let Ok(issuer) = issuer else { return same(row, outcome("reject")) };
    let expected = Expected::new(issuer, State::from_secret(Secret::new("the-state")))
        .with_iss_advertised(input["advertised"] == true);
    let query;
    let (callback, is_compare) = if text(input, "kind") == "compare" {
        let mut pairs = vec![("code", "c"), ("state", "the-state")];
        pairs.extend(optional(input, "iss").map(|iss| ("iss", iss)));
        (Callback::from_pairs(pairs), true)
    } else {
        // Callback rows have no state, or one that is irrelevant to them.
        let given = text(input, "query");
        let rest = given.split('&').filter(|pair| !pair.starts_with("state="));
        query = rest.chain(["state=the-state"]).collect::<Vec<_>>().join("&");
        (Callback::from_query(&query), false)
    };
    same(
        row,
        match callback.validate(&expected) {
            Ok(Validated::Code(_)) => outcome(if is_compare { "accept" } else { "code" }),
            Ok(Validated::Denied(error)) => {
                json!({"outcome": "error", "error": error.code.as_str()})
            }
            Err(_) => outcome("reject"),
        },
    )
}

/// Checks a row of `discovery_urls.json`.
///
/// # Errors
///
/// The actual URLs, or the error.
pub fn discovery_urls(row: &Value) -> Result<(), Value> {
    let input = &row["input"];
    let kind = text(input, "kind");
    let urls = match kind {
        "as" => {
            Issuer::parse(text(input, "issuer")).and_then(|own| authorization_server_urls(&own))
        }
        _ => ResourceUri::parse(text(input, "resource")).and_then(|resource| match kind {
            "prm_publish" => Ok(vec![protected_resource_url(&resource)?]),
            _ => {
                let challenged = optional(input, "challenge_url").map(EndpointUrl::parse);
                protected_resource_urls(&resource, challenged.transpose()?.as_ref())
            }
        }),
    };
    if let Some(host) = optional(&row["expect"], "host") {
        // An empty list of URLs passes as well.
        let stays = urls.iter().flatten().all(|url| url.origin().host() == host);
        return if stays { Ok(()) } else { Err(json!({"urls": strings(&urls)})) };
    }
    let what = if kind == "as" { "issuer" } else { "resource" };
    same(
        row,
        match &urls {
            Ok(_) => json!({"urls": strings(&urls)}),
            Err(rule) => json!({"error": format!("{what}_{}", rule_name(*rule))}),
        },
    )
}

fn strings(urls: &Result<Vec<EndpointUrl>, InvalidUri>) -> Vec<&str> {
    urls.iter().flatten().map(EndpointUrl::as_str).collect()
}

const fn rule_name(rule: InvalidUri) -> &'static str {
    match rule {
        InvalidUri::Query => "has_query",
        InvalidUri::Fragment => "has_fragment",
        InvalidUri::Userinfo => "has_userinfo",
        InvalidUri::PlainHttp | InvalidUri::NotHttps => "not_https",
        InvalidUri::NoHost => "has_no_host",
        _ => "malformed",
    }
}

/// Checks a row of `redirect_uri.json`.
///
/// # Errors
///
/// The actual decision.
pub fn redirect_uri(row: &Value) -> Result<(), Value> {
    let registered = row["input"]["registered"].as_array().cloned().unwrap_or_default();
    let requested = text(&row["input"], "requested");
    let admits =
        |own: &Value| RedirectUri::parse(own.as_str()?).ok().map(|own| own.admits(requested));
    let matches = registered.iter().filter_map(admits).any(|admits| admits);
    same(row, json!({"match": matches}))
}

/// Checks a row of `resource_match.json`.
///
/// # Errors
///
/// The actual decision or canonical form.
pub fn resource_match(row: &Value) -> Result<(), Value> {
    let input = &row["input"];
    if text(input, "kind") == "canonical" {
        let canonical = ResourceUri::canonical(text(input, "url"));
        return same(
            row,
            match canonical {
                Ok(resource) => json!({"resource": resource.as_str()}),
                Err(rule) => json!({"error": rule_name(rule)}),
            },
        );
    }
    let parse = |name| ResourceUri::parse(text(input, name));
    let allowed = match (parse("configured"), parse("requested")) {
        (Ok(configured), Ok(requested)) => configured.covers(&requested),
        _ => false,
    };
    same(row, json!({"allowed": allowed}))
}

fn basic_header(header: &str) -> HeaderMap {
    let value = HeaderValue::from_str(header).ok();
    value.map(|value| (AUTHORIZATION, value)).into_iter().collect()
}

/// Returns `true` if these headers authenticate exactly this ID and secret.
///
/// # Errors
///
/// The [`Reason`] why the headers cannot be parsed.
fn holds_pair(headers: &HeaderMap, id: &str, secret: &str) -> Result<bool, Reason> {
    let presented = Presented::parse(headers, &FormPairs::default()).map_err(|e| e.reason())?;
    let registered = ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
        .with_secret(Secret::new(secret).digest());
    let is_id = presented.client_id().as_str() == id;
    let verified = presented.verify(Some(&registered), &[], UnixTime::from_secs(0));
    Ok(is_id
        && match verified {
            Ok(_) => !secret.is_empty(),
            // An empty secret is parsed as any other, but proves nothing.
            Err(error) => secret.is_empty() && error.reason() == Reason::WrongSecret,
        })
}

/// Checks a row of `basic_auth_encoding.json`.
///
/// Every form encoding that decodes to the same pair is accepted.
///
/// # Errors
///
/// The actual encoding or pair.
pub fn basic_auth_encoding(row: &Value) -> Result<(), Value> {
    let (input, expect) = (&row["input"], &row["expect"]);
    if text(input, "kind") == "encode" {
        let (id, secret) = (text(input, "client_id"), text(input, "client_secret"));
        let Ok(client_id) = ClientId::parse(id) else {
            return same(row, json!({"error": "malformed"}));
        };
        let method = Some(&AuthMethod::ClientSecretBasic);
        let secret_given = Some(Secret::new(secret));
        let Ok(credentials) = ClientCredentials::choose(client_id, secret_given, method, &[])
        else {
            return Err(json!({"error": "no method"}));
        };
        let mut headers = HeaderMap::new();
        if credentials.attach(&mut headers, &mut FormWriter::new()).is_err() {
            return Err(json!({"error": "no header"}));
        }
        let both = [headers, basic_header(text(expect, "header"))];
        let equivalent = both.iter().all(|headers| holds_pair(headers, id, secret) == Ok(true));
        return if equivalent { Ok(()) } else { Err(json!({"header": "another pair"})) };
    }
    let (id, secret) = (text(expect, "client_id"), text(expect, "client_secret"));
    match holds_pair(&basic_header(text(input, "header")), id, secret) {
        Ok(true) => Ok(()),
        Ok(false) => Err(json!("another pair")),
        Err(Reason::UnknownScheme) => same(row, json!({"error": "not_basic"})),
        Err(_) => same(row, json!({"error": "malformed"})),
    }
}

/// Checks a row of `client_auth.json`.
///
/// # Errors
///
/// The actual outcome.
pub fn client_auth(row: &Value) -> Result<(), Value> {
    let input = &row["input"];
    let client = &input["client"];
    let secret = optional(client, "client_secret").map(Secret::new);
    let expires_at = client["client_secret_expires_at"].as_u64().filter(|at| *at != 0);
    // RFC 7591 §2: the default method is `client_secret_basic`.
    let method = optional(client, "token_endpoint_auth_method")
        .map_or(AuthMethod::ClientSecretBasic, AuthMethod::parse);
    let registered = ClientAuthRecord::new(method)
        .with_secret(secret.as_ref().map(Secret::digest))
        .with_secret_expires_at(expires_at.map(UnixTime::from_secs));
    let headers = optional(input, "authorization").map(basic_header).unwrap_or_default();
    let now = UnixTime::from_secs(input["now"].as_u64().unwrap_or_default());
    let authenticated = FormPairs::parse(text(input, "body").as_bytes()).ok().map(|form| {
        let presented = Presented::parse(&headers, &form)?;
        let is_known = presented.client_id().as_str() == text(client, "client_id");
        presented.verify(is_known.then_some(&registered), &[], now)
    });
    let error = match authenticated {
        Some(Ok(_)) => return same(row, json!({"outcome": "ok"})),
        Some(Err(error)) => error,
        None => return Err(json!("the form is malformed")),
    };
    let response = error.into_response();
    let mut got = json!({
        "outcome": "error",
        "error": error.code().as_str(),
        "status": response.status().as_u16(),
    });
    // The rows expect a challenge only where the RFC requires one; every 401 has one here.
    if let Some(scheme) = optional(&row["expect"], "www_authenticate") {
        let sent = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let is_it = sent.is_some_and(|sent| sent.starts_with(scheme));
        got["www_authenticate"] = if is_it { scheme.into() } else { Value::Null };
    }
    same(row, got)
}
