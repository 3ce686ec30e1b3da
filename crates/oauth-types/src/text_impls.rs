//! Conversions between text and the types that are parsed from it: one macro for each direction.

/// Implements `FromStr`, `TryFrom<&str>` and `TryFrom<String>` by `parse`.
macro_rules! parse_impls {
    ($name:ident, $error:ty) => {
        impl core::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }
    };
}
pub(crate) use parse_impls;

/// Implements `AsRef<str>`, `Display` and `Serialize` by `as_str`.
macro_rules! as_str_impls {
    ($name:ident) => {
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use as_str_impls;

/// Implements both directions, and `Deserialize` by `parse`.
macro_rules! text_impls {
    ($name:ident, $error:ty) => {
        crate::text_impls::parse_impls!($name, $error);
        crate::text_impls::as_str_impls!($name);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_impls;
