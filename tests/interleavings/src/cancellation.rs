//! Cancelled callers: the one that started the renewal, or one that waits for it.

use crate::orders;
use crate::world::{Fate, Wanted, run};

fn one_gives_up_among(callers: usize) {
    let seen = run(
        |_, _| Fate::Lands,
        |world| {
            let first = world.caller(Wanted::Refresh, |held| held.refreshes > 0);
            for _ in 1..callers {
                world.caller(Wanted::Refresh, |held| held.refreshes > 0);
            }
            world.give_up(&first);
        },
    );
    let begun = seen.begun.len();
    assert!(begun <= 1);
    assert_eq!(seen.held.refreshes, begun, "what was begun lands, whoever has left");
    assert!(seen.ends.len() + 1 >= callers, "one was left waiting");
    assert!(seen.ends.iter().all(|(_, end)| end.is_ok()));
}

#[test]
fn the_only_one() {
    orders::all(|| one_gives_up_among(1));
}

#[test]
fn one_of_two() {
    orders::all(|| one_gives_up_among(2));
}

#[test]
fn one_of_eight() {
    orders::some(|| one_gives_up_among(8));
}
