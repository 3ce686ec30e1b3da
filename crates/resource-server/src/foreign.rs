//! What is read alike of every token of a server that is not ours, however it came here.

use core::time::Duration;

use oauth_types::{Audience, ResourceUri, Thumbprint};
use serde_json::Value;

/// How far the clocks of two machines may be apart.
pub(crate) const SKEW: Duration = Duration::from_secs(60);

/// Most recipients of a token: what a cache keeps of it is bounded.
const MOST_RECIPIENTS: usize = 100;

/// It is bound to something that cannot be checked here.
pub(crate) struct Unconfirmed;

/// The key that a token is bound to, if to any (RFC 9449 §6, RFC 7800 §3.1). `null` says nothing.
pub(crate) fn bound_key(confirmation: Option<&Value>) -> Result<Option<Thumbprint>, Unconfirmed> {
    let Some(confirmation) = confirmation.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    // One member that is known, and none that would go unchecked.
    let members = confirmation.as_object().filter(|members| members.len() == 1);
    let jkt = members.and_then(|members| members.get("jkt")).and_then(Value::as_str);
    let jkt = jkt.and_then(|text| Thumbprint::parse(text).ok());
    jkt.map(Some).ok_or(Unconfirmed)
}

/// The resources that it is for, unless they are too many to keep. A recipient that is no URI is some other server: it
/// makes the token no worse.
pub(crate) fn recipients(audience: &Audience) -> Option<Vec<ResourceUri>> {
    let are_few = audience.0.len() <= MOST_RECIPIENTS;
    are_few.then(|| audience.0.iter().filter_map(|one| ResourceUri::parse(one).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_very_many_is_for_nobody() {
        let many = |count| Audience(vec!["https://rs.example".to_owned(); count]);
        assert_eq!(recipients(&many(100)).unwrap().len(), 100);
        assert_eq!(recipients(&many(101)), None);
    }
}
