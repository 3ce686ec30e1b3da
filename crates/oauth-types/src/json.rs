//! Validation of untrusted JSON: bounded in size and depth, without repeated members.

use core::fmt;
use std::borrow::Cow;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Deepest nesting that is accepted.
pub(crate) const MAX_DEPTH: usize = 32;
/// Largest number of members of one object.
const MAX_MEMBERS: usize = 1024;

/// Returns `true` if a text is one JSON object of bounded depth, without repeated members.
pub(crate) fn is_sound_object(json: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let is_object = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    is_object
        && Sound { depth: 0 }.deserialize(&mut deserializer).is_ok()
        && deserializer.end().is_ok()
}

/// Visitor that checks a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Sound {
    depth: usize,
}

impl Sound {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Sound {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Member name, borrowed if it has no escapes.
#[derive(PartialEq, Eq, Hash)]
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = std::collections::HashSet::new();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if names.len() == MAX_MEMBERS || !names.insert(name) {
                return Err(serde::de::Error::custom("a member twice, or too many"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-137
    #[test]
    fn only_sound_objects_are_read() {
        assert!(is_sound_object(br#" {"a":[1,{"b":null}],"c":"\u0041"} "#));
        let deep = format!("{}{}", "{\"a\":".repeat(40), "1".to_owned() + &"}".repeat(40));
        for bad in [
            "[]",
            "\"x\"",
            "",
            "{",
            "{\"a\":1}x",
            "\u{feff}{}",
            r#"{"issuer":"a","issuer":"b"}"#,
            r#"{"issuer":"a","\u0069ssuer":"b"}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            &deep,
        ] {
            assert!(!is_sound_object(bad.as_bytes()), "{bad}");
        }
        assert!(!is_sound_object(
            &"{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()
        ));
    }
}
