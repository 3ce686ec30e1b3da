//! The error response of token, registration and revocation endpoints (RFC 6749 §5.2).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{EndpointUrl, ErrorDescription, ExtraMembers};

/// An OAuth error as a server sent it (RFC 6749 §5.2): its code is still text, because which codes exist depends on
/// the endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorResponse<Code> {
    /// Which error.
    pub error: Code,
    /// For the developer. Cleaned when read; dropped when it is no text.
    #[serde(default, deserialize_with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub error_description: Option<ErrorDescription>,
    /// A page about the error. Dropped when it is not an https URL.
    #[serde(default, deserialize_with = "url_or_none", skip_serializing_if = "Option::is_none")]
    pub error_uri: Option<EndpointUrl>,
    /// Members that are not known here. `Debug` shows them not: an error is logged.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// Nor does an explanation that is none.
fn text_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ErrorDescription>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().map(ErrorDescription::new))
}

/// A bad link does not hide the error that it belongs to.
fn url_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<EndpointUrl>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| EndpointUrl::parse(text).ok()))
}

impl<Code> ErrorResponse<Code> {
    /// An error without explanation.
    #[must_use]
    pub fn new(error: Code) -> Self {
        Self { error, error_description: None, error_uri: None, extra: ExtraMembers::default() }
    }

    /// The same error, explained.
    #[must_use]
    pub fn with_description(mut self, description: &str) -> Self {
        self.error_description = Some(ErrorDescription::new(description));
        self
    }
}

impl<Code: Serialize + for<'de> Deserialize<'de>> ErrorResponse<Code> {
    /// Reads an error response.
    ///
    /// # Errors
    ///
    /// [`DocumentError`](crate::DocumentError) when the body is no error response.
    pub fn from_json(json: &[u8]) -> Result<Self, crate::DocumentError> {
        crate::document::read(json)
    }

    /// The error as JSON.
    #[must_use]
    pub fn to_json(&self) -> bytes::Bytes {
        // Text keys and plain values: writing them to memory does not fail.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenErrorCode;

    #[test]
    fn c_token_4_an_error_is_read_whole_and_never_hidden_by_its_decoration() {
        let read = |json: &[u8]| ErrorResponse::<TokenErrorCode>::from_json(json).unwrap();
        let full = read(
            br#"{"error":"invalid_grant","error_description":"no","error_uri":"https://as.example/e","x":"canary","y":null}"#,
        );
        assert_eq!(full.error, TokenErrorCode::InvalidGrant);
        assert_eq!(full.error_uri.as_ref().unwrap().as_str(), "https://as.example/e");
        assert_eq!(full.extra.0.len(), 1);
        assert_eq!(read(&full.to_json()), full);
        assert!(!format!("{full:?}").contains("canary"));
        for description in ["[\"x\"]", "7", "null", "{}"] {
            let json = format!(r#"{{"error":"invalid_grant","error_description":{description}}}"#);
            assert_eq!(read(json.as_bytes()).error, TokenErrorCode::InvalidGrant, "{description}");
        }
        for uri in ["javascript:alert(1)", "not a url", ""] {
            let json = format!(r#"{{"error":"invalid_grant","error_uri":"{uri}"}}"#);
            assert_eq!(read(json.as_bytes()).error_uri, None, "{uri}");
        }
    }
}
