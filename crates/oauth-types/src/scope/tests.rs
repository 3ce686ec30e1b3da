//! Scopes and scope sets.

use proptest::prelude::*;

use super::*;

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

#[test]
fn only_a_space_separates() {
    assert_eq!(set("  a  b a ").as_str(), "a b");
    for text in ["a\tb", "\"a\"", "a\\b", "caf\u{e9}", "a\u{2003}b", "a\r\nb", "\u{7f}"] {
        assert!(matches!(ScopeSet::parse(text), Err(InvalidScope::Character { .. })), "{text:?}");
    }
}

/// C-SCOPE-4
#[test]
fn a_union_keeps_each_scope_once_in_first_seen_order() {
    assert_eq!(set("a b").union(&set("c b d")).unwrap().as_str(), "a b c d");
}

#[test]
fn disjoint_sets_exceed_each_other_and_order_does_not_count() {
    assert!(set("a").exceeds(&set("b")));
    assert!(!set("a").exceeds(&set("a b")));
    assert_eq!(set("a b"), set("b a"));
    assert_ne!(set("a"), set("a b"));
}

/// SEC-161
#[test]
fn a_set_is_bounded() {
    let many: Vec<String> = (0..129).map(|n| n.to_string()).collect();
    assert_eq!(ScopeSet::parse(&many.join(" ")), Err(InvalidScope::TooLarge));
    assert_eq!(ScopeSet::parse(&"x".repeat(8193)), Err(InvalidScope::TooLarge));
    assert!(ScopeSet::parse(&"x".repeat(8192)).is_ok());
}

/// SEC-211
#[test]
fn many_long_scopes_are_compared_as_few_short_ones_are() {
    let list = |numbers: core::ops::Range<u32>| {
        let scopes: Vec<_> = numbers.map(|number| format!("{number:060}")).collect();
        scopes.join(" ")
    };
    let (one, other, both) = (set(&list(0..80)), set(&list(40..120)), set(&list(0..120)));
    assert_eq!(one.union(&other).unwrap().as_str(), both.as_str());
    assert_eq!(one.difference(&other).as_str(), list(0..40));
    assert!(one.exceeds(&other) && other.exceeds(&one));
    assert!(!one.exceeds(&both) && !other.exceeds(&both));
    assert_eq!(other.union(&one).unwrap(), both);
    assert_eq!(set(&[list(0..60), list(30..90)].join("  ")).as_str(), list(0..90));
    assert_eq!(set(&list(0..128)).len(), 128);
    assert_eq!(ScopeSet::parse(&list(0..129)), Err(InvalidScope::TooLarge));
    assert_eq!(both.union(&set(&"x".repeat(1000))), Err(InvalidScope::TooLarge));
    assert_eq!(set("a").union(&both).unwrap().len(), 121);
}

proptest! {
    #[test]
    fn union_is_idempotent_and_covers_both(a in "[a-f ]{0,20}", b in "[a-f ]{0,20}") {
        let (a, b) = (set(&a), set(&b));
        let union = a.union(&b).unwrap();
        prop_assert!(!a.exceeds(&union) && !b.exceeds(&union));
        let again = union.union(&b).unwrap();
        prop_assert_eq!(again.as_str(), union.as_str());
        prop_assert_eq!(&union, &b.union(&a).unwrap());
        let read = ScopeSet::parse(union.as_str()).unwrap();
        prop_assert_eq!(read.as_str(), union.as_str());
    }
}
