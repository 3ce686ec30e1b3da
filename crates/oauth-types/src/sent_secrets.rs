//! Redaction of secrets that a peer echoes in its response.
//!
//! Some servers, and some debugging proxies, repeat parts of the request in their errors.

use core::fmt;
use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::form::{FormPairs, decode_component};
use crate::header::DPOP;
use crate::secret::Secret;

/// Parameters of token, revocation and introspection requests whose values are secret.
///
/// They come from RFC 6749 §4.1.3 and §6, RFC 7009 §2.1, RFC 7521 §4, RFC 7636 §4.5, RFC 7662 §2.1 and RFC 8693 §2.1.
const SECRET_PARAMETERS: [&str; 9] = [
    "actor_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "refresh_token",
    "subject_token",
    "token",
];

/// The secrets of one request, to be redacted when its response is quoted.
///
/// # Examples
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
/// use oauth_types::SentSecrets;
///
/// let token = HeaderValue::from_static("Bearer 2YotnFZFEjr1zCsicMWpAA");
/// let sent = SentSecrets::new(&HeaderMap::from_iter([(AUTHORIZATION, token)]), b"");
/// let quoted = sent.strike_out("no such token: 2YotnFZFEjr1zCsicMWpAA");
/// assert_eq!(quoted, "no such token: [secret]");
/// ```
#[derive(Clone, Default)]
pub struct SentSecrets(Vec<Secret>);

impl SentSecrets {
    /// Shortest part of a secret that is redacted, in bytes.
    ///
    /// Parts are redacted, because an echo may be cut or partly escaped.
    const PIECE: usize = 8;
    /// Shortest secret that is looked for, in bytes, because shorter ones would match everywhere.
    const MIN_LENGTH: usize = 4;

    /// Collects the secrets of a request.
    ///
    /// They are its credentials and DPoP proof (RFC 9449), cookies, other headers that are marked sensitive, and the
    /// secret parameters of a token request in its form.
    #[must_use]
    pub fn new(headers: &HeaderMap, form: &[u8]) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in headers {
            if [AUTHORIZATION, PROXY_AUTHORIZATION].contains(name) {
                secrets.extend(credentials(value));
            } else if *name == COOKIE || *name == DPOP || value.is_sensitive() {
                secrets.extend(value.to_str().ok().map(str::to_owned));
            }
        }
        if let Ok(form) = FormPairs::parse(form) {
            let values = form.iter().filter(|(name, _)| SECRET_PARAMETERS.contains(name));
            secrets.extend(values.map(|(_, value)| value.to_owned()));
        }
        secrets.retain(|secret| secret.len() >= Self::MIN_LENGTH);
        Self(secrets.into_iter().map(Secret::new).collect())
    }

    /// Replaces each secret in a text by `[secret]`.
    ///
    /// Letter case is ignored, and parts of a secret of eight or more characters are replaced too.
    #[must_use]
    pub fn strike_out<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let secrets = self.in_small_letters();
        Pieces::new(&secrets).strike_out(text)
    }

    /// Replaces each secret in a JSON value by `[secret]`: in strings, numbers and member names.
    ///
    /// Of members whose names become equal, the last is kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    /// use oauth_types::SentSecrets;
    /// use serde_json::json;
    ///
    /// let token = HeaderValue::from_static("Bearer 2YotnFZFEjr1zCsicMWpAA");
    /// let sent = SentSecrets::new(&HeaderMap::from_iter([(AUTHORIZATION, token)]), b"");
    /// let mut data = json!({"tokens": {"2YotnFZFEjr1zCsicMWpAA": "unknown"}});
    /// sent.strike_out_json(&mut data);
    /// assert_eq!(data, json!({"tokens": {"[secret]": "unknown"}}));
    /// ```
    pub fn strike_out_json(&self, value: &mut Value) {
        let secrets = self.in_small_letters();
        Pieces::new(&secrets).strike_out_json(value);
    }

    fn in_small_letters(&self) -> Vec<String> {
        // Some peers echo values in lower case, such as media types.
        self.0.iter().map(|own| own.expose().to_ascii_lowercase()).collect()
    }
}

/// Patterns to search: [`SentSecrets::PIECE`]-byte runs of long secrets, and whole short ones.
struct Pieces<'a> {
    runs: HashSet<&'a [u8]>,
    short: Vec<&'a str>,
}

impl<'a> Pieces<'a> {
    fn new(secrets: &'a [String]) -> Self {
        let (long, short): (Vec<&str>, Vec<&str>) = secrets
            .iter()
            .map(String::as_str)
            .partition(|secret| secret.len() >= SentSecrets::PIECE);
        let runs =
            long.iter().flat_map(|secret| secret.as_bytes().windows(SentSecrets::PIECE)).collect();
        Self { runs, short }
    }

    #[expect(clippy::expect_used, reason = "ranges are found in this text, in whole characters")]
    fn strike_out<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let part = |range| text.get(range).expect("a range begins and ends between characters");
        let mut found = self.ranges(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let (mut kept, mut end) = (String::with_capacity(text.len()), 0);
        for (from, to) in found {
            if from > end || end == 0 {
                kept.push_str(part(end..from));
                kept.push_str("[secret]");
            }
            end = end.max(to);
        }
        kept.push_str(part(end..text.len()));
        Cow::Owned(kept)
    }

    fn strike_out_json(&self, value: &mut Value) {
        let struck = match &mut *value {
            Value::Null | Value::Bool(_) => return,
            Value::Number(number) => self.struck(&number.to_string()),
            Value::String(text) => self.struck(text),
            Value::Array(values) => {
                return values.iter_mut().for_each(|value| self.strike_out_json(value));
            }
            Value::Object(members) => {
                let all = core::mem::take(members).into_iter().map(|(name, mut value)| {
                    self.strike_out_json(&mut value);
                    (self.struck(&name).unwrap_or(name), value)
                });
                return members.extend(all);
            }
        };
        if let Some(struck) = struck {
            *value = Value::String(struck);
        }
    }

    /// Returns the redacted text, if the text contained a secret.
    fn struck(&self, text: &str) -> Option<String> {
        match self.strike_out(text) {
            Cow::Owned(struck) => Some(struck),
            Cow::Borrowed(_) => None,
        }
    }

    /// Returns the ranges of a text that match a secret, extended to whole characters.
    fn ranges(&self, text: &str) -> Vec<(usize, usize)> {
        // Lower-casing ASCII letters keeps all byte positions.
        let text = text.to_ascii_lowercase();
        let mut found = Vec::new();
        if !self.runs.is_empty() {
            let windows = text.as_bytes().windows(SentSecrets::PIECE);
            let all = windows.enumerate().filter(|(_, window)| self.runs.contains(window));
            found.extend(all.map(|(at, _)| {
                let is_edge = |at: &usize| text.is_char_boundary(*at);
                // The beginning of a text is an edge, and so is its end.
                let from = (0..=at).rev().find(is_edge).unwrap_or(0);
                (from, (at + SentSecrets::PIECE..).find(is_edge).unwrap_or(text.len()))
            }));
        }
        for secret in &self.short {
            found.extend(text.match_indices(secret).map(|(at, piece)| (at, at + piece.len())));
        }
        found
    }
}

/// Returns the secrets in credentials: the text after the scheme, and the password of Basic.
fn credentials(value: &HeaderValue) -> Vec<String> {
    let Ok(text) = value.to_str() else { return Vec::new() };
    let (scheme, secret) = text.split_once(' ').unwrap_or(("", text));
    let mut all = vec![secret.to_owned()];
    if scheme.eq_ignore_ascii_case("Basic")
        && let Ok(decoded) = STANDARD.decode(secret)
        && let Ok(decoded) = String::from_utf8(decoded)
        && let Some((_, password)) = decoded.split_once(':')
    {
        all.push(password.to_owned());
        let decoded = decode_component(password.as_bytes());
        all.extend(decoded.ok().map(Cow::into_owned));
    }
    all
}

impl fmt::Debug for SentSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentSecrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "CANARY-0123456789-abcdefghijklmnop";

    fn sent_headers() -> HeaderMap {
        let mut key = HeaderValue::from_static("key-of-the-host");
        key.set_sensitive(true);
        HeaderMap::from_iter([
            (AUTHORIZATION, HeaderValue::from_str(&format!("DPoP {TOKEN}")).unwrap()),
            ("dpop".parse().unwrap(), HeaderValue::from_static("eyJ0eXAi.eyJqdGki.c2lnbmF0dXJl")),
            ("x-api-key".parse().unwrap(), key),
            ("accept".parse().unwrap(), HeaderValue::from_static("application/json")),
        ])
    }

    fn sent() -> SentSecrets {
        SentSecrets::new(
            &sent_headers(),
            b"grant_type=authorization_code&code=c0de&code_verifier=v%C3%A9rifier-1",
        )
    }

    /// SEC-247
    #[test]
    fn what_was_sent_is_struck_out_whole_and_in_pieces() {
        for (text, struck) in [
            (format!("Authorization: DPoP {TOKEN}; x"), "Authorization: DPoP [secret]; x"),
            (format!("{TOKEN}{TOKEN}"), "[secret]"),
            (TOKEN.to_lowercase(), "[secret]"),
            (format!("cut: {}", &TOKEN[..12]), "cut: [secret]"),
            (format!("cut: {}...", &TOKEN[10..]), "cut: [secret]..."),
            ("CANARY-01\\u0032\\/3456789-a".to_owned(), "[secret]\\u0032\\/[secret]"),
            ("dpop: eyJ0eXAi.eyJqdGki.c2lnbmF0dXJl".to_owned(), "dpop: [secret]"),
            ("X-Api-Key: key-of-the-host".to_owned(), "X-Api-Key: [secret]"),
            ("code c0de, verifier v\u{e9}rifier-1".to_owned(), "code [secret], verifier [secret]"),
            ("\u{e9}v\u{e9}rifier-\u{e9}".to_owned(), "\u{e9}[secret]\u{e9}"),
        ] {
            assert_eq!(sent().strike_out(&text), struck, "{text}");
        }
        for text in ["", "application/json", "grant_type=authorization_code", "CANARY", "\u{e9}"] {
            assert!(matches!(sent().strike_out(text), Cow::Borrowed(_)), "{text}");
        }
        assert!(!format!("{:?}", sent()).contains("CANARY"));
    }

    /// SEC-247: the token of a revocation or introspection request (RFC 7009 §2.1, RFC 7662 §2.1).
    #[test]
    fn a_token_that_is_revoked_is_struck_out() {
        let sent =
            SentSecrets::new(&HeaderMap::new(), b"token=CANARY-0123456789&token_type_hint=x");
        assert_eq!(sent.strike_out("unknown: CANARY-0123456789"), "unknown: [secret]");
    }

    /// SEC-247: secrets may stand in strings, numbers and names.
    #[test]
    fn secrets_are_struck_out_of_json_and_it_stays_json() {
        let form = b"code=message&refresh_token=123456789&client_secret=data";
        let sent = SentSecrets::new(&sent_headers(), form);
        let mut data = json!({
            "text": "no message",
            TOKEN: [TOKEN, {"a": {"b": format!("x {TOKEN}")}}],
            "more": {"message": 123456789, "n": [1, 1.5, true, null]},
            "none": {"data": {}},
        });
        sent.strike_out_json(&mut data);
        let text = data.to_string();
        for secret in [TOKEN, "message", "123456789", "data"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains(r#""n":[1,1.5,true,null]"#), "{text}");
        // A value without secrets is unchanged.
        let clean = json!({"a": [1, "two", {"three": null}]});
        let mut same = clean.clone();
        sent.strike_out_json(&mut same);
        assert_eq!(same, clean);
    }

    /// SEC-247
    #[test]
    fn the_password_of_basic_credentials_is_a_secret() {
        // base64("client:p%40ssword-1")
        let basic = HeaderValue::from_static("Basic Y2xpZW50OnAlNDBzc3dvcmQtMQ==");
        let sent = SentSecrets::new(&HeaderMap::from_iter([(AUTHORIZATION, basic)]), b"");
        for echo in ["Y2xpZW50OnAlNDBzc3dvcmQtMQ==", "p%40ssword-1", "p@ssword-1"] {
            assert_eq!(sent.strike_out(echo), "[secret]", "{echo}");
        }
        assert_eq!(sent.strike_out("client"), "client");
    }
}
