//! Form encoding (`application/x-www-form-urlencoded`) of queries and bodies (RFC 6749 appendix B).

use core::fmt;
use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Escapes all but the unreserved characters of RFC 3986, so that the result fits queries and bodies.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The reason why a text is not an accepted form (RFC 6749 appendix B).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FormError {
    /// The form is longer than [`FormPairs::MAX_BYTES`].
    TooLong,
    /// The form has more than [`FormPairs::MAX_PAIRS`] parameters.
    TooManyPairs,
    /// A name or value is longer than [`FormPairs::MAX_VALUE_BYTES`].
    ValueTooLong,
    /// A `%` is not followed by two hexadecimal digits.
    Escape,
    /// A decoded name or value is not UTF-8.
    Utf8,
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the form is too long: it may have {} bytes", FormPairs::MAX_BYTES)
            }
            Self::TooManyPairs => {
                write!(f, "the form has too many parameters: it may have {}", FormPairs::MAX_PAIRS)
            }
            Self::ValueTooLong => write!(
                f,
                "a name or value of the form is too long: it may have {} bytes",
                FormPairs::MAX_VALUE_BYTES
            ),
            Self::Escape => f.write_str(
                "the form has a malformed percent escape: write `%` and two hexadecimal digits",
            ),
            Self::Utf8 => f.write_str("the form is not UTF-8: encode its text as UTF-8"),
        }
    }
}

impl core::error::Error for FormError {}

/// A parameter that appears more than once although it must not (RFC 6749 §3.1, §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Repeated {
    /// Name of the parameter.
    pub name: &'static str,
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the parameter `{}` appears more than once: send it once (RFC 6749 §3.1)",
            self.name
        )
    }
}

impl core::error::Error for Repeated {}

/// Parameters of a query or a form body, decoded once, in order (RFC 6749 §3.1, appendix B).
///
/// A value without escapes is borrowed from the input.
///
/// # Examples
///
/// ```
/// use oauth_types::FormPairs;
///
/// let form = FormPairs::parse(b"grant_type=authorization_code&code=a%2Bb")?;
/// assert_eq!(form.value("code").unwrap(), Some("a+b"));
/// # Ok::<(), oauth_types::FormError>(())
/// ```
#[derive(Clone, Default)]
pub struct FormPairs<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> FormPairs<'a> {
    /// Longest form, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// Largest number of parameters.
    pub const MAX_PAIRS: usize = 64;
    /// Longest name or value, in bytes before decoding.
    pub const MAX_VALUE_BYTES: usize = 8 * 1024;

    /// Parses a form.
    ///
    /// # Errors
    ///
    /// [`FormError`] if a limit is exceeded, or an escape or the UTF-8 is malformed.
    pub fn parse(form: &'a [u8]) -> Result<Self, FormError> {
        if form.len() > Self::MAX_BYTES {
            return Err(FormError::TooLong);
        }
        let mut pairs = Vec::with_capacity(Self::expected(form));
        let mut rest = Some(form);
        while let Some(form) = rest {
            let pair;
            (pair, rest) = split_at_byte(form, b'&');
            if pair.is_empty() {
                continue;
            }
            if pairs.len() == Self::MAX_PAIRS {
                return Err(FormError::TooManyPairs);
            }
            let (name, value) = split_at_byte(pair, b'=');
            // A name without `=` has an empty value (URL Standard, application/x-www-form-urlencoded).
            let value = value.unwrap_or(b"");
            if name.len() > Self::MAX_VALUE_BYTES || value.len() > Self::MAX_VALUE_BYTES {
                return Err(FormError::ValueTooLong);
            }
            pairs.push((decode_component(name)?, decode_component(value)?));
        }
        Ok(Self { pairs })
    }

    /// Returns the capacity for an ordinary form, so that its list is allocated once; 0 for an empty form.
    fn expected(form: &[u8]) -> usize {
        if form.is_empty() { 0 } else { 8 }
    }

    /// Takes parameters that another library has already decoded.
    ///
    /// # Errors
    ///
    /// [`FormError`] if a limit is exceeded, counted in decoded bytes.
    pub fn from_pairs(
        decoded: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, FormError> {
        let (mut pairs, mut total) = (Vec::new(), 0_usize);
        for (name, value) in decoded {
            total = total.saturating_add(name.len()).saturating_add(value.len());
            if total > Self::MAX_BYTES {
                return Err(FormError::TooLong);
            }
            if pairs.len() == Self::MAX_PAIRS {
                return Err(FormError::TooManyPairs);
            }
            if name.len().max(value.len()) > Self::MAX_VALUE_BYTES {
                return Err(FormError::ValueTooLong);
            }
            pairs.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
        Ok(Self { pairs })
    }

    /// Returns `true` if there is a parameter of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.pairs.iter().any(|(own, _)| own == name)
    }

    /// Returns the value of a parameter that must not be repeated; the value may be empty.
    ///
    /// # Errors
    ///
    /// [`Repeated`] if there is more than one parameter of this name.
    pub fn single(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Repeated { name }),
            None => Ok(first),
        }
    }

    /// Returns the value of a parameter; an empty value counts as absent (RFC 6749 §3.1, §3.2).
    ///
    /// # Errors
    ///
    /// [`Repeated`] if there is more than one parameter of this name.
    pub fn value(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        Ok(self.single(name)?.filter(|value| !value.is_empty()))
    }

    /// Returns every value of this name, for parameters that may repeat (`resource`, RFC 8707 §2).
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.pairs.iter().filter(move |(own, _)| own == name).map(|(_, value)| &**value)
    }

    /// Returns `true` if any parameter other than `name` appears more than once.
    #[must_use]
    pub fn has_repeated_except(&self, name: &str) -> bool {
        let names = || self.pairs.iter().map(|(own, _)| &**own);
        names().enumerate().any(|(at, own)| own != name && names().take(at).any(|seen| seen == own))
    }

    /// Returns every parameter, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Debug for FormPairs<'_> {
    /// Shows only the number of parameters, because a form may hold codes, secrets and verifiers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormPairs({} parameters, [redacted])", self.pairs.len())
    }
}

/// Decodes a name or value: `+` is a space, `%XX` a byte (RFC 6749 appendix B).
///
/// # Errors
///
/// [`FormError::Escape`] if an escape is malformed, [`FormError::Utf8`] if the result is not UTF-8.
///
/// # Examples
///
/// ```
/// use oauth_types::{FormError, decode_component};
///
/// assert_eq!(decode_component(b"files%3Aread+write").as_deref(), Ok("files:read write"));
/// assert_eq!(decode_component(b"50%"), Err(FormError::Escape));
/// ```
pub fn decode_component(component: &[u8]) -> Result<Cow<'_, str>, FormError> {
    let Some(first) = memchr::memchr2(b'%', b'+', component) else {
        return core::str::from_utf8(component).map(Cow::Borrowed).map_err(|_| FormError::Utf8);
    };
    let mut decoded = Vec::with_capacity(component.len());
    let (mut plain, mut rest) = component.split_at(first);
    loop {
        decoded.extend_from_slice(plain);
        rest = match rest {
            [] => break,
            [b'+', rest @ ..] => {
                decoded.push(b' ');
                rest
            }
            [_, high, low, rest @ ..] => {
                let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
                    return Err(FormError::Escape);
                };
                decoded.push(high << 4 | low);
                rest
            }
            _ => return Err(FormError::Escape),
        };
        let run = memchr::memchr2(b'%', b'+', rest).unwrap_or(rest.len());
        (plain, rest) = rest.split_at(run);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| FormError::Utf8)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Encodes a name or value (RFC 6749 appendix B), so that the displayed text decodes to the same value.
///
/// # Examples
///
/// ```
/// use oauth_types::encode_component;
///
/// assert_eq!(encode_component("files:read write").to_string(), "files%3Aread%20write");
/// ```
#[must_use]
pub fn encode_component(component: &str) -> impl fmt::Display {
    utf8_percent_encode(component, ESCAPED)
}

/// Writer of a form or a query (RFC 6749 appendix B).
///
/// # Examples
///
/// ```
/// use oauth_types::FormWriter;
///
/// let mut form = FormWriter::new();
/// form.append("grant_type", "refresh_token").append("resource", "https://rs.example/mcp");
/// assert_eq!(form.finish(), "grant_type=refresh_token&resource=https%3A%2F%2Frs.example%2Fmcp");
/// ```
#[derive(Clone, Default)]
pub struct FormWriter(String);

impl FormWriter {
    /// Creates an empty form.
    #[must_use]
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Adds one parameter.
    pub fn append(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, ESCAPED));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, ESCAPED));
        self
    }

    /// Returns the form written so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the finished form.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

impl fmt::Debug for FormWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormWriter([redacted])")
    }
}

/// Splits at the first `byte`: returns the bytes before it, and those after it if it is found.
fn split_at_byte(bytes: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(byte, bytes).and_then(|at| bytes.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A-AUTHZ-7, C-ISS-7
    #[test]
    fn a_repeated_parameter_is_reported() {
        let form = FormPairs::parse(b"state=a&iss=x&%73tate=b").unwrap();
        assert_eq!(form.single("state"), Err(Repeated { name: "state" }));
        assert_eq!(form.single("iss"), Ok(Some("x")));
        assert_eq!(form.single("code"), Ok(None));
    }

    /// SEC-093
    #[test]
    fn an_empty_value_counts_as_none_where_the_rfc_says_so() {
        let form = FormPairs::parse(b"scope=&iss").unwrap();
        assert_eq!(form.value("scope"), Ok(None));
        assert_eq!(form.single("iss"), Ok(Some("")));
    }

    /// SEC-074
    #[test]
    fn escapes_and_utf_8_are_strict() {
        for bad in ["%", "%f", "%zz", "a=%4", "%+1="] {
            assert_eq!(FormPairs::parse(bad.as_bytes()).unwrap_err(), FormError::Escape, "{bad}");
        }
        assert_eq!(FormPairs::parse(b"a=%ff").unwrap_err(), FormError::Utf8);
        assert_eq!(FormPairs::parse(b"a=\xff").unwrap_err(), FormError::Utf8);
    }

    /// SEC-098
    #[test]
    fn a_form_is_bounded() {
        assert_eq!(FormPairs::parse(&[b'a'; 65_537]).unwrap_err(), FormError::TooLong);
        assert_eq!(FormPairs::parse(&b"a&".repeat(65)).unwrap_err(), FormError::TooManyPairs);
        assert_eq!(FormPairs::parse(&[b'a'; 8193]).unwrap_err(), FormError::ValueTooLong);
        assert_eq!(FormPairs::parse(b"&&a=1&&").unwrap().iter().count(), 1);
        let (long, huge) = ("a".repeat(8192), "a".repeat(8193));
        let pairs = |value, count| FormPairs::from_pairs(vec![("", value); count]).map(|_| ());
        assert_eq!(pairs(&*huge, 1).unwrap_err(), FormError::ValueTooLong);
        assert_eq!(pairs("a", 65).unwrap_err(), FormError::TooManyPairs);
        assert_eq!(pairs(&*long, 9).unwrap_err(), FormError::TooLong);
        assert!(pairs(&*long, 8).is_ok() && pairs("a", 64).is_ok());
    }

    /// SEC-067
    #[test]
    fn decoding_happens_once() {
        let form = FormPairs::parse(b"u=https%253A%252F%252Fapp").unwrap();
        assert_eq!(form.single("u"), Ok(Some("https%3A%2F%2Fapp")));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(pairs in prop::collection::vec((".{1,9}", ".{0,20}"), 0..9)) {
            let mut writer = FormWriter::new();
            for (name, value) in &pairs {
                writer.append(name, value);
            }
            let form = FormPairs::parse(writer.as_str().as_bytes()).unwrap();
            let read: Vec<_> = form.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FormPairs::parse(&bytes);
        }
    }
}
