//! Resource indicators in requests (RFC 8707 §2).

use oauth_types::{FormPairs, ResourceUri};

/// `resource` parameters of a request; an empty one counts as absent (RFC 6749 §3.1).
#[derive(Clone, Copy, Debug)]
pub(crate) enum ResourceIndicator<'f> {
    Absent,
    One(&'f str),
    Several,
}

impl<'f> ResourceIndicator<'f> {
    pub(crate) fn read(form: &'f FormPairs<'_>) -> Self {
        let mut named = form.all("resource").filter(|resource| !resource.is_empty());
        match (named.next(), named.next()) {
            (None, _) => Self::Absent,
            (Some(one), None) => Self::One(one),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    /// Returns the requested one of `own` resources, with its configured spelling.
    ///
    /// A request that names none selects the only resource there is.
    pub(crate) fn select(self, own: &[ResourceUri]) -> Option<ResourceUri> {
        // A-AUTHZ-8
        match (self, own) {
            (Self::Absent, [only]) => Some(only.clone()),
            (Self::One(one), _) => own.iter().find(|own| is_spelling_of(one, own)).cloned(),
            (Self::Absent | Self::Several, _) => None,
        }
    }

    /// Returns `true` if the request names the authorized resource or none.
    pub(crate) fn is_within(self, authorized: &ResourceUri) -> bool {
        match self {
            Self::Absent => true,
            Self::One(one) => is_spelling_of(one, authorized),
            Self::Several => false,
        }
    }
}

/// Returns `true` if the text is a spelling of this URI; most clients send the configured one.
fn is_spelling_of(text: &str, own: &ResourceUri) -> bool {
    text == own.as_str() || ResourceUri::parse(text).is_ok_and(|uri| uri.is_same(own))
}
