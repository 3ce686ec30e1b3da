//! Several callers that find an expired value.

use crate::orders;
use crate::world::{Fate, Held, Wanted, run};

/// As many callers, each of whom needs a value of at least so many renewals.
fn until(needs: &[usize]) {
    let seen = run(
        |_, _| Fate::Lands,
        |world| {
            for &need in needs {
                world.caller(Wanted::Refresh, move |held| held.refreshes >= need);
            }
        },
    );
    let most = needs.iter().copied().max().unwrap_or_default();
    assert_eq!(seen.begun.len(), most);
    assert_eq!(seen.held, Held { refreshes: most, grants: 0 });
    assert_eq!(seen.ends, vec![(Wanted::Refresh, Ok(())); needs.len()]);
}

#[test]
fn two_share_one_renewal() {
    orders::all(|| until(&[1, 1]));
}

#[test]
#[ignore = "minutes: `cargo xtask interleavings`"]
fn three_share_one_renewal() {
    orders::all(|| until(&[1, 1, 1]));
}

#[test]
fn three_and_eight_share_one_renewal() {
    orders::some(|| until(&[1; 3]));
    orders::some(|| until(&[1; 8]));
}

/// A caller that needs more than the new value gets a further renewal.
#[test]
fn what_has_landed_is_not_waited_for_again() {
    orders::all(|| until(&[1, 2]));
}

#[test]
fn many_with_unlike_needs_renew_as_often_as_the_neediest() {
    orders::some(|| until(&[1, 1, 2, 2, 3, 3]));
}
