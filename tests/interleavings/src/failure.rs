//! Failed renewals: the affected callers get the failure, and the others can still try.

use crate::orders;
use crate::world::{End, Fate, Wanted, run};

/// All callers have seen the same value, and each ends with a failure of its kind.
fn all_fail(callers: &[Wanted]) {
    let seen = run(
        |_, _| Fate::Fails,
        |world| callers.iter().for_each(|wanted| world.early_caller(*wanted)),
    );
    let (begun, ends) = (seen.begun, seen.ends);
    for &wanted in callers {
        let tries = begun.iter().filter(|own| **own == wanted).count();
        assert!(tries <= 1, "{wanted:?} was tried {tries} times: {begun:?}");
    }
    assert_eq!(ends.len(), callers.len());
    for (wanted, end) in ends {
        let Err(End::Failed(by)) = end else { panic!("{wanted:?} ended as {end:?}") };
        let is_shared = by == Wanted::Login && wanted != Wanted::Refresh;
        assert!(by == wanted || is_shared, "{wanted:?} learnt of {by:?}");
    }
}

#[test]
fn of_a_refresh_is_shared() {
    orders::all(|| all_fail(&[Wanted::Refresh, Wanted::Refresh]));
}

#[test]
fn of_a_step_up_is_its_operations_own() {
    orders::some(|| all_fail(&[Wanted::StepUp(1), Wanted::StepUp(2)]));
}

#[test]
fn of_a_login_is_every_users() {
    orders::some(|| all_fail(&[Wanted::Login, Wanted::StepUp(1)]));
}

/// A failure of another kind in between does not hide the first.
#[test]
fn is_known_until_something_changes() {
    orders::some(|| all_fail(&[Wanted::StepUp(1), Wanted::StepUp(1), Wanted::StepUp(2)]));
    orders::some(|| all_fail(&[Wanted::Login, Wanted::Login, Wanted::Refresh, Wanted::Refresh]));
}

#[test]
fn of_many_is_shared_by_those_it_concerns() {
    let [one, two] = [1, 2].map(Wanted::StepUp);
    let callers = [one, two, one, two, one, Wanted::Refresh, Wanted::Login, Wanted::Refresh];
    orders::some(move || all_fail(&callers));
}

/// A failure of one kind does not keep callers of another kind from trying.
#[test]
fn is_tried_anew_by_others() {
    orders::all(|| {
        let seen = run(
            |wanted, _| if wanted == Wanted::StepUp(1) { Fate::Fails } else { Fate::Lands },
            |world| [1, 2].map(Wanted::StepUp).iter().for_each(|own| world.early_caller(*own)),
        );
        assert_eq!(seen.held.grants, 1);
        for (wanted, end) in seen.ends {
            let failed = Err(End::Failed(Wanted::StepUp(1)));
            match wanted {
                // The other's success may come first: then it looks again.
                Wanted::StepUp(1) => assert!(end == failed || end == Ok(())),
                _ => assert_eq!(end, Ok(())),
            }
        }
    });
}

/// A caller that has seen the failure and calls again starts a new renewal.
#[test]
fn is_tried_anew_by_those_who_come_later() {
    orders::all(|| {
        let seen = run(
            |_, nth| if nth == 0 { Fate::Fails } else { Fate::Lands },
            |world| {
                world.early_caller(Wanted::Login);
                world.caller(Wanted::Login, |held| held.grants > 0);
            },
        );
        assert_eq!(seen.begun.len(), 1 + seen.held.grants);
    });
}
