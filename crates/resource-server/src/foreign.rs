//! Rules that are common to JWTs and introspection responses of external issuers.

use core::time::Duration;

use oauth_types::{Audience, ResourceUri, Thumbprint};
use serde_json::Value;

/// Tolerated difference between the clocks of two machines.
pub(crate) const SKEW: Duration = Duration::from_secs(60);

/// Maximum number of audience members of a token, because caches hold them in memory.
const MOST_RECIPIENTS: usize = 100;

/// Error: the token is bound to something that cannot be checked here.
pub(crate) struct Unconfirmed;

/// Returns the key that a token is bound to, if any (RFC 9449 §6, RFC 7800 §3.1); `null` counts as absent.
pub(crate) fn bound_key(confirmation: Option<&Value>) -> Result<Option<Thumbprint>, Unconfirmed> {
    let Some(confirmation) = confirmation.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    // `jkt` must be the only member, because any other would remain unchecked.
    let members = confirmation.as_object().filter(|members| members.len() == 1);
    let jkt = members.and_then(|members| members.get("jkt")).and_then(Value::as_str);
    let jkt = jkt.and_then(|text| Thumbprint::parse(text).ok());
    jkt.map(Some).ok_or(Unconfirmed)
}

/// Further audience names that an authorization server uses for resources.
#[derive(Clone, Debug)]
pub(crate) struct Audiences(Vec<(Box<str>, ResourceUri)>);

impl Audiences {
    /// Creates an empty list.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an audience name for a resource.
    pub(crate) fn add(&mut self, name: &str, resource: ResourceUri) {
        self.0.push((name.into(), resource));
    }

    /// Returns the resources in the audience of a token, or `None` if there are too many.
    ///
    /// A member that is not a URI names another server and is ignored.
    pub(crate) fn recipients(&self, audience: &Audience) -> Option<Vec<ResourceUri>> {
        if audience.0.len() > MOST_RECIPIENTS {
            return None;
        }
        let mut resources = Vec::with_capacity(audience.0.len());
        for one in &audience.0 {
            let named = self.0.iter().filter(|(name, _)| **name == **one);
            let known = resources.len();
            resources.extend(named.map(|(_, resource)| resource.clone()));
            if resources.len() == known {
                resources.extend(ResourceUri::parse(one));
            }
        }
        Some(resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_very_many_is_for_nobody() {
        let many = |count| Audience(vec!["https://rs.example".to_owned(); count]);
        let audiences = Audiences::new();
        assert_eq!(audiences.recipients(&many(100)).unwrap().len(), 100);
        assert_eq!(audiences.recipients(&many(101)), None);
    }
}
