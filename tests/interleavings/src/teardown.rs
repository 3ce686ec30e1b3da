//! Renewals that are torn down, as by the end of their runtime.

use crate::orders;
use crate::world::{Fate, Wanted, run};

const fn fates(first: Fate) -> fn(Wanted, usize) -> Fate {
    match first {
        Fate::TornDown => |_, nth| if nth == 0 { Fate::TornDown } else { Fate::Lands },
        _ => |_, nth| if nth == 0 { Fate::NeverStarted } else { Fate::Lands },
    }
}

fn first_fate(first: Fate, callers: usize) {
    let seen = run(fates(first), |world| {
        for _ in 0..callers {
            world.caller(Wanted::Refresh, |held| held.refreshes > 0);
        }
    });
    // A caller goes on once: one who heard of the same end again would have ended as `Stopped`.
    assert_eq!(seen.ends, vec![(Wanted::Refresh, Ok(())); callers]);
    assert_eq!(seen.held.refreshes, 1);
    let begun = seen.begun.len();
    assert!(begun == 2 || (begun == 1 && first == Fate::TornDown), "{begun} renewals");
}

#[test]
fn before_it_starts() {
    orders::all(|| first_fate(Fate::NeverStarted, 2));
}

#[test]
fn while_one_waits() {
    orders::all(|| first_fate(Fate::TornDown, 1));
}

#[test]
fn while_two_wait() {
    orders::some(|| first_fate(Fate::TornDown, 2));
}

#[test]
fn while_eight_wait() {
    orders::some(|| first_fate(Fate::NeverStarted, 8));
    orders::some(|| first_fate(Fate::TornDown, 8));
}

/// A caller does not wait again for a renewal whose end it has seen.
#[test]
fn is_heard_of_once() {
    for first in [Fate::NeverStarted, Fate::TornDown] {
        orders::some(move || {
            let seen = run(fates(first), |world| {
                for _ in 0..2 {
                    world.bystander(Wanted::Refresh);
                    world.caller(Wanted::Refresh, |held| held.refreshes > 0);
                }
            });
            assert_eq!((seen.held.refreshes, seen.ends.len()), (1, 4));
        });
    }
}
