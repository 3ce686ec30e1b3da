//! Keys of ownership and quotas: `Principal` and `Account`.

use oauth_types::{AccessTokenInfo, ClientId, Issuer, SecretDigest, Subject};

/// Owner of a session or stream: a user, through one client, at one authorization server.
///
/// Handles (sessions, events, tasks of the host) are bound to all three values, because fewer of them do not identify
/// an owner.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Principal(SecretDigest);

impl Principal {
    pub(crate) fn of(facts: &AccessTokenInfo) -> Self {
        Self::new(&facts.issuer, &facts.client_id, &facts.subject)
    }

    /// Returns the one principal of all requests without a token.
    ///
    /// The text of every other principal is not empty.
    pub(crate) fn without_token() -> Self {
        Self(SecretDigest::of(""))
    }

    pub(crate) fn new(issuer: &Issuer, client_id: &ClientId, subject: &Subject) -> Self {
        // The lengths precede the texts, so that different triples have different texts.
        let (issuer, client_id) = (issuer.as_str(), client_id.as_str());
        let text = format!("{} {} {issuer}{client_id}{subject}", issuer.len(), client_id.len());
        Self(SecretDigest::of(&text))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// Key of quotas: a user at an authorization server, independent of the client.
///
/// The client is not included, because a user can register any number of clients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Account(SecretDigest);

impl Account {
    pub(crate) fn of(facts: &AccessTokenInfo) -> Self {
        Self::new(&facts.issuer, &facts.subject)
    }

    /// Returns the one account of all requests without a token.
    pub(crate) fn without_token() -> Self {
        Self(SecretDigest::of(""))
    }

    pub(crate) fn new(issuer: &Issuer, subject: &Subject) -> Self {
        let issuer = issuer.as_str();
        Self(SecretDigest::of(&format!("{} {issuer}{subject}", issuer.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(issuer: &str, client: &str, subject: &str) -> (Principal, Account) {
        let issuer = Issuer::parse(&format!("https://{issuer}.example")).unwrap();
        let client = ClientId::parse(client).unwrap();
        let subject = Subject::parse(subject).unwrap();
        (Principal::new(&issuer, &client, &subject), Account::new(&issuer, &subject))
    }

    /// SEC-157: no two read alike.
    #[test]
    fn principals_differ_by_issuer_client_and_subject() {
        let (alice, _) = named("as", "c", "alice");
        assert_eq!(alice, named("as", "c", "alice").0);
        for (issuer, client, subject) in [
            ("other", "c", "alice"),
            ("as", "d", "alice"),
            ("as", "c", "bob"),
            ("as", "ca", "lice"),
        ] {
            assert_ne!(alice, named(issuer, client, subject).0, "{issuer} {client} {subject}");
        }
    }

    /// SEC-226
    #[test]
    fn an_account_is_issuer_and_subject_whatever_the_client() {
        let (_, alice) = named("as", "c", "alice");
        assert_eq!(alice, named("as", "another", "alice").1);
        for (issuer, subject) in [("other", "alice"), ("as", "bob")] {
            assert_ne!(alice, named(issuer, "c", subject).1, "{issuer} {subject}");
        }
    }
}
