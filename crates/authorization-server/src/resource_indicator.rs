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
            (Self::One(one), _) => {
                let one = ResourceUri::parse(one).ok()?;
                own.iter().find(|own| own.is_same(&one)).cloned()
            }
            (Self::Absent | Self::Several, _) => None,
        }
    }

    /// Returns `true` if the request names the authorized resource or none.
    pub(crate) fn is_within(self, authorized: &ResourceUri) -> bool {
        match self {
            Self::Absent => true,
            Self::One(one) => ResourceUri::parse(one).is_ok_and(|one| one.is_same(authorized)),
            Self::Several => false,
        }
    }
}
