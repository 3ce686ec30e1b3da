//! Members of a JSON document, taken by name and read by class.
//!
//! The table of classes is in [`document`](crate::document).

use core::{fmt, mem};

use serde_json::{Map, Value};

use crate::client_id::InvalidClientId;
use crate::document::DocumentError;
use crate::scope::{InvalidScope, ScopeSet};
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::uri::{EndpointUrl, InvalidUri};

/// The rule that a member of a document breaks, without text of the document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MemberRule {
    /// Is required, but absent or `null`.
    Missing,
    /// Has a JSON value of another type.
    Type {
        /// Type that was found, as in "a number".
        found: &'static str,
        /// Type that the document's RFC gives the member.
        expected: &'static str,
    },
    /// Has a URI that breaks this rule.
    Uri(InvalidUri),
    /// Has a client identifier that breaks this rule.
    ClientId(InvalidClientId),
    /// Has a list of scopes that breaks this rule.
    Scope(InvalidScope),
    /// Has an endpoint whose query sets a parameter of the requests to it (RFC 6749 §3.1, §3.2).
    Parameter {
        /// Name of the parameter.
        name: &'static str,
    },
    /// Has a well-formed value that cannot be used here.
    Value {
        /// Values that can be used.
        expected: &'static str,
    },
}

impl fmt::Display for MemberRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing, and has to be added"),
            Self::Type { found, expected } => write!(f, "is {found}; it has to be {expected}"),
            Self::Uri(rule) => rule.fmt(f),
            Self::ClientId(rule) => write!(f, "is malformed, because {rule}"),
            Self::Scope(rule) => write!(f, "is malformed, because {rule}"),
            Self::Parameter { name } => write!(
                f,
                "has `{name}` in its query, which has to be left out, because the request sets it \
                 itself (RFC 6749 §3.1)"
            ),
            Self::Value { expected } => {
                write!(f, "has a value that cannot be used here; it has to be {expected}")
            }
        }
    }
}

impl core::error::Error for MemberRule {}

/// Members of a document that are not read yet, and the names of those that were passed over.
pub(crate) struct Members {
    left: Map<String, Value>,
    passed_over: Vec<&'static str>,
}

impl Members {
    pub(crate) const fn new(members: Map<String, Value>) -> Self {
        Self { left: members, passed_over: Vec::new() }
    }

    /// Takes a member; `null` counts as absent, because some peers write it for an absent member.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a member for which an empty text counts as absent, like `null`.
    fn take_filled(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| value != "")
    }

    /// Reads a member that the document requires.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, MemberRule>,
    ) -> Result<T, DocumentError> {
        self.take(name).ok_or(MemberRule::Missing).and_then(read).map_err(of(name))
    }

    /// Reads an optional member that makes the document invalid if it is malformed.
    pub(crate) fn strict<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, MemberRule>,
    ) -> Result<Option<T>, DocumentError> {
        self.take_filled(name).map(read).transpose().map_err(of(name))
    }

    /// Reads a strict member for which an empty text is a value.
    pub(crate) fn exact<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, MemberRule>,
    ) -> Result<Option<T>, DocumentError> {
        self.take(name).map(read).transpose().map_err(of(name))
    }

    /// Reads a member that is passed over if it is malformed.
    pub(crate) fn lenient<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, MemberRule>,
    ) -> Option<T> {
        let value = self.take_filled(name)?;
        read(value).map_err(|_| self.pass_over(name)).ok()
    }

    /// Reads the scopes of a member that is passed over if it is malformed.
    ///
    /// An empty text is the empty set, which differs from an absent member (RFC 6749 §5.1).
    pub(crate) fn scopes(&mut self, name: &'static str) -> Option<ScopeSet> {
        let value = self.take(name)?;
        scopes(value).map_err(|_| self.pass_over(name)).ok()
    }

    /// Reads a flag, `false` if it is absent; `None` if it is malformed and was passed over.
    ///
    /// The caller then takes the stricter value.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let Some(value) = self.take_filled(name) else { return Some(false) };
        let flag = flag(&value);
        if flag.is_none() {
            self.pass_over(name);
        }
        flag
    }

    /// Reads a list of names; items that are not texts are passed over one by one.
    pub(crate) fn names<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> T,
    ) -> Option<Vec<T>> {
        match self.items(name, |item| text(item).map(|item| read(&item))) {
            Ok(items) => items,
            Err(_) => {
                self.pass_over(name);
                None
            }
        }
    }

    /// Reads a list of names; a malformed list counts as empty, because an absent one allows more.
    ///
    /// Well-formed lists are read as by [`names`](Self::names).
    pub(crate) fn names_or_none<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> T,
    ) -> Option<Vec<T>> {
        let before = self.passed_over.len();
        let names = self.names(name, read);
        let is_malformed = self.passed_over.len() > before;
        names.or_else(|| is_malformed.then(Vec::new))
    }

    /// Reads a list in which at least one item has to be valid, unless it is empty.
    ///
    /// One text is a list of one. Malformed items are passed over.
    pub(crate) fn items<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(Value) -> Result<T, MemberRule>,
    ) -> Result<Option<Vec<T>>, DocumentError> {
        let items = match self.take_filled(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(one @ Value::String(_)) => vec![one],
            Some(other) => return Err(of(name)(wrong_type(&other, "a list of texts"))),
        };
        let (mut good, mut first_error) = (Vec::with_capacity(items.len()), None);
        for item in items {
            match read(item) {
                Ok(item) => good.push(item),
                Err(rule) => {
                    first_error.get_or_insert(rule);
                }
            }
        }
        match first_error {
            Some(rule) if good.is_empty() => return Err(of(name)(rule)),
            Some(_) => self.pass_over(name),
            None => {}
        }
        Ok(Some(good))
    }

    /// Records that a member was passed over.
    pub(crate) fn pass_over(&mut self, name: &'static str) {
        self.passed_over.push(name);
    }

    /// Returns the names of the members that were passed over.
    pub(crate) fn into_passed_over(self) -> Vec<&'static str> {
        self.passed_over
    }

    /// Takes all remaining members but those that are `null`, which strict parsers refuse.
    pub(crate) fn take_rest(&mut self) -> Map<String, Value> {
        let mut rest = mem::take(&mut self.left);
        rest.retain(|_, value| !value.is_null());
        rest
    }
}

/// Returns the error of a member that breaks a rule.
fn of(member: &'static str) -> impl Fn(MemberRule) -> DocumentError {
    move |rule| DocumentError::Member { member, rule }
}

const fn wrong_type(found: &Value, expected: &'static str) -> MemberRule {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    MemberRule::Type { found, expected }
}

/// Reads a text.
pub(crate) fn text(value: Value) -> Result<String, MemberRule> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&other, "a text")),
    }
}

/// Reads a list of texts, each of which has to be valid.
pub(crate) fn texts(value: Value) -> Result<Vec<String>, MemberRule> {
    match value {
        Value::Array(items) => items.into_iter().map(text).collect(),
        other => Err(wrong_type(&other, "a list of texts")),
    }
}

/// Reads a list of arbitrary values.
pub(crate) fn values(value: Value) -> Result<Vec<Value>, MemberRule> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_type(&other, "a list")),
    }
}

/// Reads a JSON boolean, without accepting its text.
pub(crate) fn boolean(value: Value) -> Result<bool, MemberRule> {
    match value {
        Value::Bool(flag) => Ok(flag),
        other => Err(wrong_type(&other, "true or false")),
    }
}

/// Reads a secret.
pub(crate) fn secret(value: Value) -> Result<Secret, MemberRule> {
    text(value).map(Secret::new)
}

/// Reads an identifier that is a URI.
pub(crate) fn uri<T>(
    parse: fn(&str) -> Result<T, InvalidUri>,
) -> impl Fn(Value) -> Result<T, MemberRule> {
    move |value| parse(&text(value)?).map_err(MemberRule::Uri)
}

/// Reads the URL of an endpoint.
pub(crate) fn endpoint(value: Value) -> Result<EndpointUrl, MemberRule> {
    uri(EndpointUrl::parse)(value)
}

/// Reads the URL of an endpoint whose query has none of these parameters.
pub(crate) fn endpoint_without(
    parameters: &[&'static str],
) -> impl Fn(Value) -> Result<EndpointUrl, MemberRule> {
    move |value| {
        let url = endpoint(value)?;
        match url.parameter_among(parameters) {
            Some(name) => Err(MemberRule::Parameter { name }),
            None => Ok(url),
        }
    }
}

/// Reads a registered name.
pub(crate) fn name<T>(read: fn(&str) -> T) -> impl Fn(Value) -> Result<T, MemberRule> {
    move |value| Ok(read(&text(value)?))
}

/// Reads scopes: a text, or a list of texts with one scope each.
pub(crate) fn scopes(value: Value) -> Result<ScopeSet, MemberRule> {
    let joined = match value {
        Value::String(text) => text,
        list @ Value::Array(_) => {
            let scopes = texts(list)?;
            if scopes.iter().any(|scope| scope.contains(' ')) {
                return Err(MemberRule::Value { expected: "a list of single scopes" });
            }
            scopes.join(" ")
        }
        other => return Err(wrong_type(&other, "a text of scopes with spaces between")),
    };
    ScopeSet::parse(&joined).map_err(MemberRule::Scope)
}

/// Reads whole seconds: a non-negative number, whose fraction is dropped, or digits as text.
pub(crate) fn time(value: Value) -> Result<UnixTime, MemberRule> {
    let seconds = match value {
        Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().map(UnixTime::from_secs)
        }
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Some(UnixTime::from_secs(whole)),
            (None, Some(float)) => UnixTime::from_float(float),
            (None, None) => None,
        },
        other => return Err(wrong_type(&other, "a number of seconds")),
    };
    seconds.ok_or(MemberRule::Value { expected: "a number of seconds that is not negative" })
}

/// Reads a boolean, or its name in any case as text.
fn flag(value: &Value) -> Option<bool> {
    let is = |text: &str| value.as_str().is_some_and(|own| own.eq_ignore_ascii_case(text));
    value.as_bool().or_else(|| (is("true") || is("false")).then(|| is("true")))
}
