//! Parameters of a token request (RFC 6749 §4.1.3, §4.4.2, §6; RFC 7523 §2.1; RFC 8707 §2.2).

use crate::endpoint::Form;
use crate::resource_indicator::ResourceIndicator;

/// Parameters of all grants; an empty value counts as absent (RFC 6749 §3.1).
#[derive(Clone, Copy)]
pub(super) struct TokenForm<'f> {
    pub(super) grant_type: Option<&'f str>,
    pub(super) code: Option<&'f str>,
    pub(super) redirect_uri: Option<&'f str>,
    pub(super) code_verifier: Option<&'f str>,
    pub(super) refresh_token: Option<&'f str>,
    #[cfg(feature = "jwt")]
    pub(super) assertion: Option<&'f str>,
    pub(super) scope: Option<&'f str>,
    pub(super) resource: ResourceIndicator<'f>,
}

impl<'f> TokenForm<'f> {
    pub(super) fn read(form: &'f Form<'_>) -> Self {
        Self {
            grant_type: form.get("grant_type"),
            code: form.get("code"),
            redirect_uri: form.get("redirect_uri"),
            code_verifier: form.get("code_verifier"),
            refresh_token: form.get("refresh_token"),
            #[cfg(feature = "jwt")]
            assertion: form.get("assertion"),
            scope: form.get("scope"),
            resource: form.resource(),
        }
    }
}
