//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1): a lazy parser that does not allocate.
//!
//! It is strict in structure, and a malformed challenge does not affect the others.

mod bearer;
mod realm;

use core::fmt;
use std::borrow::Cow;

use http::HeaderMap;
use http::header::{GetAll, HeaderValue, ValueIter, WWW_AUTHENTICATE};

pub use bearer::{BearerChallenge, InvalidChallenge};
pub use realm::{InvalidRealm, Realm};

use crate::form::Repeated;

/// A challenge that breaks the grammar of RFC 9110 §11.3; other challenges are not affected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MalformedChallenge;

impl fmt::Display for MalformedChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a challenge in `WWW-Authenticate` breaks the grammar of RFC 9110 §11.3: the \
             server's operator has to correct it",
        )
    }
}

impl core::error::Error for MalformedChallenge {}

/// Iterator over the challenges of all `WWW-Authenticate` lines, in order, of any scheme.
///
/// # Examples
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
/// use oauth_types::Challenges;
///
/// let line = HeaderValue::from_static("Basic realm=\"a, b\", Bearer scope=\"read\"");
/// let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, line)]);
/// let schemes: Result<Vec<_>, _> = Challenges::new(&headers).map(|it| Ok(it?.scheme())).collect();
/// assert_eq!(schemes?, ["Basic", "Bearer"]);
/// # Ok::<(), oauth_types::MalformedChallenge>(())
/// ```
///
/// # Deviations from RFC 9110
///
/// - An unquoted value may have any visible ASCII character but `"`, `,`, `;` and `\`, because servers send
///   `scope=mcp:read`.
/// - An unquoted value may be empty when another parameter follows: `a=, b=c`.
/// - Each line is parsed alone: parameters at its start do not continue the line before.
/// - Any other error in the grammar drops only the challenge that contains it, which is reported as
///   [`MalformedChallenge`].
#[derive(Debug)]
pub struct Challenges<'a> {
    lines: ValueIter<'a, HeaderValue>,
    rest: &'a [u8],
}

impl<'a> Challenges<'a> {
    /// Returns the challenges of a response.
    #[must_use]
    pub fn new(headers: &'a HeaderMap) -> Self {
        // C-DISC-3: every line counts.
        let lines: GetAll<'a, HeaderValue> = headers.get_all(WWW_AUTHENTICATE);
        Self { lines: lines.iter(), rest: b"" }
    }
}

impl<'a> Iterator for Challenges<'a> {
    type Item = Result<Challenge<'a>, MalformedChallenge>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = trim_start_list(self.rest);
            if !self.rest.is_empty() {
                break;
            }
            self.rest = self.lines.next()?.as_bytes();
        }
        let (challenge, rest) = split_challenge(self.rest);
        self.rest = rest;
        Some(challenge.ok_or(MalformedChallenge))
    }
}

/// A challenge: a scheme, and either parameters or one token68 (RFC 9110 §11.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenge<'a> {
    scheme: &'a str,
    token68: Option<&'a str>,
    params: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Returns the scheme as it was written.
    #[must_use]
    pub const fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Returns `true` if the challenge has this scheme, compared without regard to case (RFC 9110 §11.1).
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Returns the token68 that replaces the parameters, if there is one.
    #[must_use]
    pub const fn token68(&self) -> Option<&'a str> {
        self.token68
    }

    /// Returns the parameters in order, repeated ones included.
    #[must_use]
    pub const fn params(&self) -> Params<'a> {
        Params { rest: self.params }
    }

    /// Returns the value of a parameter; names are compared without regard to case (RFC 9110 §11.2).
    ///
    /// # Errors
    ///
    /// [`Repeated`] if the challenge has more than one parameter of this name.
    pub fn param(&self, name: &'static str) -> Result<Option<ParamValue<'a>>, Repeated> {
        let is_it = |(own, _): &(&[u8], _)| own.eq_ignore_ascii_case(name.as_bytes());
        let mut params = self.params();
        let mut values = core::iter::from_fn(|| params.advance()).filter(is_it);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Repeated { name }),
            None => Ok(first.map(|(_, value)| value)),
        }
    }
}

/// Iterator over the parameters of a challenge, which are known to be well formed (RFC 9110 §11.2).
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// Returns the next parameter, with its name as bytes.
    fn advance(&mut self) -> Option<(&'a [u8], ParamValue<'a>)> {
        let (name, value) = split_name(trim_start_list(self.rest))?;
        let (value, rest) = split_value(value)?;
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, ParamValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.advance()?;
        Some((core::str::from_utf8(name).ok()?, value))
    }
}

/// Value of a parameter as it was received, with its escapes (RFC 9110 §5.6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamValue<'a> {
    raw: &'a [u8],
    has_escapes: bool,
}

impl<'a> ParamValue<'a> {
    /// Returns the value with quoted pairs resolved; borrowed if it has none, `None` if it is not UTF-8.
    #[must_use]
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        if !self.has_escapes {
            return core::str::from_utf8(self.raw).ok().map(Cow::Borrowed);
        }
        let mut text = Vec::with_capacity(self.raw.len());
        let mut bytes = self.raw.iter();
        while let Some(&byte) = bytes.next() {
            text.push(if byte == b'\\' { *bytes.next()? } else { byte });
        }
        String::from_utf8(text).ok().map(Cow::Owned)
    }
}

const fn is_token_char(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

const fn is_unquoted_char(byte: u8) -> bool {
    class(byte) & UNQUOTED != 0
}

#[expect(clippy::indexing_slicing, reason = "the table has an entry for every byte")]
const fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

/// Class of `tchar` (RFC 9110 §5.6.2).
const TOKEN: u8 = 1;
/// Class of the characters that an unquoted value may have.
const UNQUOTED: u8 = 2;

/// The classes of each byte, in a table, because every byte of every challenge is classified.
#[expect(clippy::indexing_slicing, reason = "the table has an entry for every byte")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7F {
        if !matches!(byte, b'"' | b',' | b';' | b'\\') {
            classes[byte as usize] |= UNQUOTED;
            if !matches!(
                byte,
                b'(' | b')'
                    | b'/'
                    | b':'
                    | b'<'
                    | b'='
                    | b'>'
                    | b'?'
                    | b'@'
                    | b'['
                    | b']'
                    | b'{'
                    | b'}'
            ) {
                classes[byte as usize] |= TOKEN;
            }
        }
        byte += 1;
    }
    classes
};

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Splits before the first byte for which `belongs` returns `false`.
fn split_while(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| !belongs(byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    split_while(bytes, is_space).1
}

/// Skips white space and the empty elements that a list may have (RFC 9110 §5.6.1).
fn trim_start_list(bytes: &[u8]) -> &[u8] {
    split_while(bytes, |byte| is_space(byte) || byte == b',').1
}

fn split_token(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (token, rest) = split_while(bytes, is_token_char);
    if token.is_empty() {
        return None;
    }
    Some((core::str::from_utf8(token).ok()?, rest))
}

/// Splits off `token BWS "=" BWS`, the first half of a parameter: returns its name and the rest.
fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = split_while(bytes, is_token_char);
    if name.is_empty() {
        return None;
    }
    Some((name, trim_start(trim_start(rest).strip_prefix(b"=")?)))
}

/// Splits off `token / quoted-string`, the second half of a parameter: returns its value and the rest.
fn split_value(bytes: &[u8]) -> Option<(ParamValue<'_>, &[u8])> {
    if let Some(quoted) = bytes.strip_prefix(b"\"") {
        return split_quoted(quoted);
    }
    let (raw, rest) = split_while(bytes, is_unquoted_char);
    Some((ParamValue { raw, has_escapes: false }, rest))
}

/// Returns the text before the closing quote, and the rest after the quote.
fn split_quoted(bytes: &[u8]) -> Option<(ParamValue<'_>, &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes.get(at) == Some(&b'"') {
            let (raw, rest) = bytes.split_at(at);
            return Some((ParamValue { raw, has_escapes: from > 0 }, rest.get(1..)?));
        }
        // In a quoted pair, the byte after the backslash is text.
        from = at + 2;
    }
}

/// Returns `true` if a list element ends here.
fn at_element_end(bytes: &[u8]) -> bool {
    matches!(trim_start(bytes).first(), None | Some(b','))
}

/// Splits the first challenge off a list that begins with neither space nor comma.
fn split_challenge(list: &[u8]) -> (Option<Challenge<'_>>, &[u8]) {
    let Some((scheme, after_scheme)) = split_token(list) else {
        return (None, skip_challenge(list));
    };
    let bare = Challenge { scheme, token68: None, params: b"" };
    if at_element_end(after_scheme) {
        let next = trim_start_list(after_scheme);
        // `Basic , realm=x`: the list of parameters may begin with empty elements.
        if after_scheme.first() != Some(&b' ') || !starts_param(next) {
            return (Some(bare), after_scheme);
        }
        return split_params(bare, next);
    }
    // A parameter without a scheme, or a scheme followed by anything but a space.
    if after_scheme.first() != Some(&b' ') || trim_start(after_scheme).first() == Some(&b'=') {
        return (None, skip_challenge(list));
    }
    let content = trim_start(after_scheme);
    if let Some((token68, rest)) = split_token68(content) {
        return (Some(Challenge { token68: Some(token68), ..bare }), rest);
    }
    split_params(bare, content)
}

/// Returns the part of a list that stands before `after`, an end of it.
#[expect(clippy::expect_used, reason = "`after` is what is left of the list")]
const fn before<'a>(list: &'a [u8], after: &[u8]) -> &'a [u8] {
    list.split_at_checked(list.len() - after.len()).expect("an end is no longer than the whole").0
}

/// Splits off the parameters at the start of `content`.
fn split_params<'a>(bare: Challenge<'a>, content: &'a [u8]) -> (Option<Challenge<'a>>, &'a [u8]) {
    let (mut rest, mut name) = (content, split_name(content));
    loop {
        let value = name.and_then(|(_, value)| split_value(value));
        let Some((_, after)) = value.filter(|(_, after)| at_element_end(after)) else {
            return (None, skip_challenge(rest));
        };
        // Another parameter belongs to this challenge; anything else begins the next one.
        rest = trim_start_list(after);
        name = split_name(rest);
        if name.is_none() {
            let params = before(content, after);
            return (Some(Challenge { params, ..bare }), after);
        }
    }
}

/// Splits off a token68 that is not the start of a parameter with a missing value.
///
/// Grammar: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn split_token68(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let is_char =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let (body, rest) = split_while(bytes, is_char);
    let (padding, rest) = split_while(rest, |b| b == b'=');
    if body.is_empty() || !at_element_end(rest) || starts_param(trim_start_list(rest)) {
        return None;
    }
    let token68 = bytes.get(..body.len() + padding.len())?;
    Some((core::str::from_utf8(token68).ok()?, rest))
}

fn starts_param(bytes: &[u8]) -> bool {
    split_name(bytes).is_some()
}

/// Skips a malformed challenge: up to the next comma outside of quotes that a scheme follows.
fn skip_challenge(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    loop {
        let (_, at_comma) = split_while(rest, |byte| byte != b',' && byte != b'=');
        match at_comma.split_first() {
            None => return b"",
            Some((b'=', after)) => {
                // Only a quote right after `=` opens a quoted string; any other is a stray byte.
                let value = trim_start(after);
                rest = match value.strip_prefix(b"\"").map(split_quoted) {
                    Some(Some((_, after_quoted))) => after_quoted,
                    Some(None) => return b"",
                    None => value,
                };
            }
            Some((_, after)) => {
                let next = trim_start_list(after);
                if next.is_empty() || (split_token(next).is_some() && !starts_param(next)) {
                    return next;
                }
                rest = next;
            }
        }
    }
}

#[cfg(test)]
mod tests;
