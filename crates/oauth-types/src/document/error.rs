//! Error responses of the token, registration and revocation endpoints (RFC 6749 §5.2).

use serde::{Deserialize, Serialize};

use crate::document::members::{endpoint, text};
use crate::document::{Document, DocumentError, ExtraMembers, MemberRule, Members};
use crate::text::ErrorDescription;
use crate::uri::EndpointUrl;

/// OAuth error response (RFC 6749 §5.2), generic over the error codes of the endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ErrorResponse<Code> {
    /// Error code.
    pub error: Code,
    /// Explanation for developers, cleaned when parsed; anything but a string is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_description: Option<ErrorDescription>,
    /// URL of a page about the error; anything but an https URL is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_uri: Option<EndpointUrl>,
    /// Members that are not known here, omitted from `Debug`, because errors are logged.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

impl<Code: for<'de> Deserialize<'de>> Document for ErrorResponse<Code> {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        let expected = "an error code of 1 to 64 characters (RFC 6749 §5.2)";
        let code = |value| Code::deserialize(value).map_err(|_| MemberRule::Value { expected });
        let description = members.lenient("error_description", text);
        Ok(Self {
            error: members.required("error", code)?,
            error_description: description
                .map(|text| ErrorDescription::new(&text))
                .filter(|description| !description.as_str().is_empty()),
            error_uri: members.lenient("error_uri", endpoint),
            extra: ExtraMembers(members.take_rest()),
        })
    }
}

impl<Code> ErrorResponse<Code> {
    /// Creates an error without a description.
    #[must_use]
    pub fn new(error: Code) -> Self {
        Self { error, error_description: None, error_uri: None, extra: ExtraMembers::default() }
    }

    /// Sets the description, which is cleaned.
    #[must_use]
    pub fn with_description(mut self, description: &str) -> Self {
        self.error_description = Some(ErrorDescription::new(description));
        self
    }
}

impl<Code: Serialize + for<'de> Deserialize<'de>> ErrorResponse<Code> {
    /// Parses an error response.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] if the body is not an error response.
    pub fn from_json(json: &[u8]) -> Result<Self, DocumentError> {
        crate::document::read(json).map(|(error, _)| error)
    }

    /// Returns the names of the members that parsing this body passes over, for logs.
    #[must_use]
    pub fn passed_over(json: &[u8]) -> Vec<&'static str> {
        crate::document::passed_over::<Self>(json)
    }

    /// Returns the error as JSON.
    #[must_use]
    pub fn to_json(&self) -> bytes::Bytes {
        crate::document::to_json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::TokenErrorCode;

    /// C-TOKEN-4
    #[test]
    fn an_error_is_read_whole_and_never_hidden_by_its_decoration() {
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
