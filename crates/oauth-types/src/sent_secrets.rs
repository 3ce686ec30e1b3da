//! Secrets that went to a peer, to be struck out of what the peer says: some servers, and proxies for debugging, echo the
//! request into their errors.

use core::fmt;
use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue};

use crate::{FormPairs, Secret};

/// Parameters of a token request whose values are secret (RFC 6749 §4.1.3, §6, RFC 7521 §4, RFC 7636 §4.5, RFC 8693
/// §2.1).
const SECRET_PARAMETERS: [&str; 8] = [
    "actor_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "refresh_token",
    "subject_token",
];

/// The secrets of one request, for quoting the response to it.
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
    /// As many characters of a secret in a row are struck out, because an echo may be cut or escaped in part.
    const PIECE: usize = 8;
    /// Shorter secrets are not looked for: they would be found everywhere.
    const MIN_LENGTH: usize = 4;

    /// Collects the secrets of a request: its credentials and proof (RFC 9449), other headers that are marked sensitive,
    /// and what a token request has in its form.
    #[must_use]
    pub fn new(headers: &HeaderMap, form: &[u8]) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in headers {
            if [AUTHORIZATION, PROXY_AUTHORIZATION].contains(name) {
                secrets.extend(credentials(value));
            } else if *name == COOKIE || name == "dpop" || value.is_sensitive() {
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

    /// Replaces each secret in a text by `[secret]`, in any case of letters, and also where it is there in pieces of eight
    /// characters or more.
    #[must_use]
    pub fn strike_out<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found = self.pieces(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let (mut kept, mut end) = (String::with_capacity(text.len()), 0);
        for (from, to) in found {
            if from > end || end == 0 {
                kept.push_str(text.get(end..from).unwrap_or_default());
                kept.push_str("[secret]");
            }
            end = end.max(to);
        }
        kept.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(kept)
    }

    /// The ranges of a text that are of a secret, in whole characters.
    fn pieces(&self, text: &str) -> Vec<(usize, usize)> {
        // A media type, for one, is told in small letters. Bytes stay where they are.
        let text = text.to_ascii_lowercase();
        let secrets: Vec<_> = self.0.iter().map(|own| own.expose().to_ascii_lowercase()).collect();
        let (long, short): (Vec<_>, Vec<_>) =
            secrets.iter().partition(|secret| secret.len() >= Self::PIECE);
        let known: HashSet<&[u8]> =
            long.iter().flat_map(|secret| secret.as_bytes().windows(Self::PIECE)).collect();
        let mut found = Vec::new();
        if !known.is_empty() {
            let windows = text.as_bytes().windows(Self::PIECE);
            let all = windows.enumerate().filter(|(_, window)| known.contains(window));
            found.extend(all.map(|(at, _)| {
                let is_edge = |at: &usize| text.is_char_boundary(*at);
                let from = (0..=at).rev().find(is_edge).unwrap_or(0);
                (from, (at + Self::PIECE..).find(is_edge).unwrap_or(text.len()))
            }));
        }
        for secret in short {
            found.extend(
                text.match_indices(secret.as_str()).map(|(at, piece)| (at, at + piece.len())),
            );
        }
        found
    }
}

/// The texts of credentials that are secret: what follows the scheme, and what is in it where it is encoded.
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
        let decoded = crate::decode_component(password.as_bytes());
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
    use super::*;

    const TOKEN: &str = "CANARY-0123456789-abcdefghijklmnop";

    fn sent() -> SentSecrets {
        let mut key = HeaderValue::from_static("key-of-the-host");
        key.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, HeaderValue::from_str(&format!("DPoP {TOKEN}")).unwrap()),
            ("dpop".parse().unwrap(), HeaderValue::from_static("eyJ0eXAi.eyJqdGki.c2lnbmF0dXJl")),
            ("x-api-key".parse().unwrap(), key),
            ("accept".parse().unwrap(), HeaderValue::from_static("application/json")),
        ]);
        SentSecrets::new(
            &headers,
            b"grant_type=authorization_code&code=c0de&code_verifier=v%C3%A9rifier-1",
        )
    }

    #[test]
    fn sec_247_what_was_sent_is_struck_out_whole_and_in_pieces() {
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

    #[test]
    fn sec_247_the_password_of_basic_credentials_is_a_secret() {
        // base64("client:p%40ssword-1")
        let basic = HeaderValue::from_static("Basic Y2xpZW50OnAlNDBzc3dvcmQtMQ==");
        let sent = SentSecrets::new(&HeaderMap::from_iter([(AUTHORIZATION, basic)]), b"");
        for echo in ["Y2xpZW50OnAlNDBzc3dvcmQtMQ==", "p%40ssword-1", "p@ssword-1"] {
            assert_eq!(sent.strike_out(echo), "[secret]", "{echo}");
        }
        assert_eq!(sent.strike_out("client"), "client");
    }
}
