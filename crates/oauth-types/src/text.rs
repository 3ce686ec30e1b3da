//! Untrusted text: error descriptions and log text, cleaned before they are shown.

use core::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text of an `error_description` (RFC 6749 §5.2, RFC 6750 §3).
///
/// It holds at most 200 characters of `%x20-21 / %x23-5B / %x5D-7E`, so that it cannot break out of a quoted string, a
/// header line or a JSON document.
///
/// # Examples
///
/// ```
/// use oauth_types::ErrorDescription;
///
/// let description = ErrorDescription::new("no scope \"admin\"\r\n");
/// assert_eq!(description.as_str(), "no scope 'admin'");
/// ```
#[doc(alias = "error_description")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorDescription(Box<str>);

impl ErrorDescription {
    /// Longest text that is kept, in characters.
    pub const MAX_CHARS: usize = 200;

    /// Cleans a text: quotes become apostrophes, every other excluded character a space.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let clean = |c| match c {
            ' ' | '!' | '#'..='[' | ']'..='~' => c,
            '"' => '\'',
            _ => ' ',
        };
        let clean: String = text.trim().chars().map(clean).take(Self::MAX_CHARS).collect();
        // Trimming again makes cleaning idempotent.
        Self(clean.trim().into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ErrorDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ErrorDescription {
    /// Cleans the text that it reads.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// Returns `true` if a character is invisible, or hides, reverses or breaks the text beside it.
///
/// These are control and format characters (Unicode categories Cc, Cf, Zl, Zp), default-ignorable characters, and
/// letters and symbols that are drawn as blanks.
///
/// # Examples
///
/// ```
/// use oauth_types::is_hidden;
///
/// // A right-to-left override, which makes a name read differently.
/// assert!(is_hidden('\u{202e}') && !is_hidden('é'));
/// ```
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Untrusted text for logs, escaped to printable ASCII and cut after 200 characters.
///
/// It can neither drive a terminal nor forge a log line.
///
/// # Examples
///
/// ```
/// use oauth_types::UntrustedText;
///
/// assert_eq!(UntrustedText::new("a\nforged line").to_string(), "a\\nforged line");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UntrustedText(Box<str>);

impl UntrustedText {
    /// Longest text that is kept, in characters of the original.
    pub const MAX_CHARS: usize = 200;

    /// Escapes at most [`MAX_CHARS`](Self::MAX_CHARS) characters of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut escaped = String::with_capacity(text.len().min(Self::MAX_CHARS));
        for c in text.chars().take(Self::MAX_CHARS) {
            escaped.extend(c.escape_default());
        }
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            escaped.push_str("...");
        }
        Self(escaped.into())
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        f.write_str(&self.0)?;
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-100
    #[test]
    fn a_description_keeps_only_what_the_rfc_allows() {
        let text = ErrorDescription::new("say \"no\\\r\nSet-Cookie: é\u{202e}x");
        assert_eq!(text.as_str(), "say 'no   Set-Cookie:   x");
        assert_eq!(ErrorDescription::new(&"x".repeat(999)).as_str().len(), 200);
        assert_eq!(ErrorDescription::new("\n\u{43f}\u{430} ").as_str(), "");
    }

    #[test]
    fn what_nobody_sees_is_hidden() {
        for c in
            "\0\u{7f}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{202e}\u{2066}\u{2800}\u{3164}\
                  \u{fe0f}\u{feff}\u{ffa0}\u{1d173}\u{e0041}\u{e0100}"
                .chars()
        {
            assert!(is_hidden(c), "{c:?}");
        }
        assert!(!"Ünï-cödé 名前 \u{1f600}".chars().any(is_hidden));
    }

    /// SEC-013
    #[test]
    fn foreign_text_is_escaped_and_capped() {
        let text = UntrustedText::new("\u{1b}[31m\r\n");
        assert_eq!(text.to_string(), "\\u{1b}[31m\\r\\n");
        assert_eq!(UntrustedText::new(&"x".repeat(100_000)).to_string().len(), 203);
    }
}
