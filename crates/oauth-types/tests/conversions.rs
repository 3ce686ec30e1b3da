//! Conversions from and to text: every type with a parser has the same set.

#![cfg(test)]

use core::fmt::{Debug, Display};
use core::str::FromStr;
use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;

use oauth_types::{
    AuthMethod, BearerErrorCode, ClientId, ClientMetadataUrl, CodeChallenge, EndpointUrl,
    GrantType, InvalidErrorCode, Issuer, Realm, RedirectUri, ResourceUri, Scope, ScopeSet, Secret,
    Subject, Thumbprint, TokenErrorCode,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Requires that all ways in agree, and that all ways out give `text`.
fn round_trips<T>(text: &str)
where
    T: Debug + Display + PartialEq + FromStr + Serialize + DeserializeOwned,
    T: for<'a> TryFrom<&'a str> + TryFrom<String>,
{
    let value: T = text.parse().ok().unwrap();
    assert_eq!(T::try_from(text).ok().as_ref(), Some(&value));
    assert_eq!(T::try_from(text.to_owned()).ok().as_ref(), Some(&value));
    assert_eq!(value.to_string(), text);
    let json = serde_json::to_string(text).unwrap();
    assert_eq!(serde_json::to_string(&value).unwrap(), json);
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
}

fn is_its_text<T: AsRef<str> + FromStr>(text: &str) {
    assert_eq!(text.parse::<T>().ok().unwrap().as_ref(), text);
}

fn is_a_key<T: FromStr + Clone + Ord + Hash + Debug>(text: &str) {
    let value: T = text.parse().ok().unwrap();
    let hashed: HashSet<T> = [value.clone(), value.clone()].into();
    let sorted: BTreeSet<T> = [value.clone(), value].into();
    assert_eq!((hashed.len(), sorted.len()), (1, 1));
}

macro_rules! all {
    ($check:ident: $($name:ty = $text:expr),+ $(,)?) => { $($check::<$name>($text);)+ };
}

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DOCUMENT: &str = "https://app.example/client.json";
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

#[test]
fn all_types_with_a_parser_round_trip() {
    all!(round_trips:
        AuthMethod = "none", BearerErrorCode = "invalid_token", ClientId = "c1",
        ClientMetadataUrl = DOCUMENT, CodeChallenge = CHALLENGE,
        EndpointUrl = "https://as.example/token?x=1", GrantType = "not known here",
        Issuer = "https://as.example", Realm = "files", RedirectUri = "com.example.app:/cb",
        ResourceUri = "https://rs.example/mcp", Scope = "files:read", ScopeSet = "b a",
        Subject = "alice", Thumbprint = JKT, TokenErrorCode = "not_known_here",
    );
    all!(is_its_text:
        AuthMethod = "none", BearerErrorCode = "invalid_token", ClientId = "c1",
        ClientMetadataUrl = DOCUMENT, CodeChallenge = CHALLENGE,
        EndpointUrl = "https://as.example/token", Issuer = "https://as.example", Realm = "files",
        RedirectUri = "https://c.example/cb", ResourceUri = "https://rs.example/mcp",
        Scope = "a", ScopeSet = "b a", Subject = "alice",
    );
    all!(is_a_key:
        AuthMethod = "none", BearerErrorCode = "invalid_token", ClientId = "c1",
        ClientMetadataUrl = DOCUMENT, Realm = "files", ScopeSet = "b a", Thumbprint = JKT,
    );
}

#[test]
fn what_parse_refuses_no_conversion_lets_in() {
    assert!(ClientId::try_from(String::new()).is_err());
    assert!(RedirectUri::try_from("cursor://callback").is_err());
    assert!(Scope::try_from("a b").is_err());
    assert!(serde_json::from_str::<Scope>("\"a b\"").is_err());
    assert!(serde_json::from_str::<ClientMetadataUrl>("\"https://app.example\"").is_err());
    let error: InvalidErrorCode = "a b".parse::<TokenErrorCode>().unwrap_err();
    assert!(error.to_string().starts_with("the text is not an error code; use 1 to 64 "));
    assert!(Realm::try_from("a\"b").is_err());
    assert!(Realm::try_from("r".repeat(Realm::MAX_BYTES + 1)).is_err());
}

#[test]
fn a_secret_is_taken_from_text_and_never_shown() {
    let secrets = [Secret::from("s3cret"), "s3cret".to_owned().into(), "s3cret".parse().unwrap()];
    for secret in secrets {
        assert!(secret.matches("s3cret"));
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}

proptest! {
    #[test]
    fn equal_sets_of_scopes_have_one_hash_and_one_place(
        scopes in prop::collection::vec("[a-c]{1,2}", 0..6),
        others in prop::collection::vec("[a-c]{1,2}", 0..6),
    ) {
        let set = ScopeSet::parse(&scopes.join(" ")).unwrap();
        let mut turned = scopes;
        turned.reverse();
        let turned = ScopeSet::parse(&turned.join(" ")).unwrap();
        let other = ScopeSet::parse(&others.join(" ")).unwrap();
        prop_assert_eq!(set.cmp(&turned), core::cmp::Ordering::Equal);
        prop_assert_eq!(HashSet::from([set.clone(), turned]).len(), 1);
        prop_assert_eq!(set == other, set.cmp(&other).is_eq());
        prop_assert_eq!(HashSet::from([set.clone(), other.clone()]).len(), if set == other { 1 } else { 2 });
    }
}
