//! Refreshes while a login waits for its user.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::orders;
use crate::world::{Fate, Held, Wanted, run};

/// As many of each. How often both sorts were under way at a time is counted.
fn of_each(callers: usize, together: &AtomicUsize) {
    let seen = run(
        |_, _| Fate::Lands,
        |world| {
            for _ in 0..callers {
                world.caller(Wanted::Refresh, |held| held.refreshes > 0);
                world.caller(Wanted::Login, |held| held.grants > 0);
            }
        },
    );
    assert_eq!(seen.held, Held { refreshes: 1, grants: 1 });
    assert_eq!(seen.begun.len(), 2);
    assert_eq!(seen.ends.len(), 2 * callers);
    assert!(seen.ends.iter().all(|(_, end)| end.is_ok()));
    together.fetch_add(usize::from(seen.had_two), Ordering::Relaxed);
}

#[test]
fn both_land() {
    let together = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&together);
    let orders = orders::all(move || of_each(1, &counter));
    let together = together.load(Ordering::Relaxed);
    assert!(0 < together && together < orders, "{together} of {orders}");
}

#[test]
fn both_land_for_many() {
    let together = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&together);
    orders::some(move || of_each(3, &counter));
    assert!(together.load(Ordering::Relaxed) > 0);
}
