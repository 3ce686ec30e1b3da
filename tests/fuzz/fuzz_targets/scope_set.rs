//! Sets of scopes print what they parse, and their unions are unions: of both, in any order, once each, bounded.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use oauth_types::ScopeSet;

fn members(set: &ScopeSet) -> BTreeSet<&str> {
    set.iter().collect()
}

fuzz_target!(|input: &str| {
    let (one, other) = input.split_once('\n').unwrap_or((input, ""));
    let (Ok(one), Ok(other)) = (ScopeSet::parse(one), ScopeSet::parse(other)) else { return };
    for set in [&one, &other] {
        assert_eq!(members(set).len(), set.len());
        assert_eq!(ScopeSet::parse(set.as_str()).unwrap().as_str(), set.as_str());
        let is_allowed = |byte: u8| matches!(byte, b' ' | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        assert!(set.as_str().bytes().all(is_allowed));
        assert!(set.len() <= ScopeSet::MAX_SCOPES && set.as_str().len() <= ScopeSet::MAX_BYTES);
    }
    let (left, right) = (members(&one), members(&other));
    assert_eq!(one.exceeds(&other), !left.is_subset(&right));
    assert_eq!(members(&one.difference(&other)), left.difference(&right).copied().collect());
    assert_eq!(one == other, left == right);
    match (one.union(&other), other.union(&one)) {
        (Ok(union), Ok(mirrored)) => {
            assert_eq!(members(&union), left.union(&right).copied().collect());
            assert_eq!(union, mirrored);
            assert!(union.as_str().starts_with(one.as_str()));
        }
        (Err(_), Err(_)) => {
            let bytes = one.as_str().len() + other.as_str().len();
            assert!(
                left.union(&right).count() > ScopeSet::MAX_SCOPES || bytes >= ScopeSet::MAX_BYTES
            );
        }
        _ => panic!("a union that depends on the order"),
    }
});
