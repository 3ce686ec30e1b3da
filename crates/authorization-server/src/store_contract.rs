//! Contract tests for implementations of [`Store`].
//!
//! Each case is a function over an empty store, and [`store_contract!`](crate::store_contract!) makes a test of each.
//! They contain no runtime and no clock; concurrent cases join their futures.
//!
//! ```
//! mod contract {
//!     use authorization_server::{MemoryStore, store_contract::MAX_CLIENTS};
//!     use futures::executor::block_on;
//!
//!     /// A store in which nothing is, and what has to live as long as it does: a folder, a schema.
//!     async fn fresh() -> (MemoryStore, ()) {
//!         (MemoryStore::with_max_clients(MAX_CLIENTS), ())
//!     }
//!
//!     authorization_server::store_contract!(block_on, fresh);
//! }
//! ```
//!
//! A durable store also passes a function that reopens it, and is tested across restarts too:
//!
//! ```
//! # mod contract {
//! # use std::sync::Arc;
//! # use authorization_server::{MemoryStore, store_contract::MAX_CLIENTS};
//! # use futures::executor::block_on;
//! # struct Folder;
//! # type MyStore = MemoryStore;
//! # async fn fresh() -> (MyStore, Folder) { (MyStore::with_max_clients(MAX_CLIENTS), Folder) }
//! /// The same store as another process finds it.
//! async fn reopen(store: MyStore, folder: &Folder) -> MyStore {
//!     // drop(store); MyStore::open(folder)
//! #   let _ = folder; store
//! }
//!
//! authorization_server::store_contract!(block_on, fresh, reopen);
//! # }
//! ```

#![expect(
    clippy::missing_errors_doc,
    reason = "a case fails with what it found, and with nothing else"
)]

mod access;
mod clients;
mod clocks;
mod codes;
mod consents;
mod crowds;
mod deletion;
mod families;
mod once;
mod restarts;
mod rotations;
mod samples;
mod subjects;
mod sweeps;
mod texts;

use core::fmt;
use core::panic::Location;

#[cfg(doc)]
use crate::store::Store;
use crate::store::StoreError;

pub use access::*;
pub use clients::*;
pub use clocks::*;
pub use codes::*;
pub use consents::*;
pub use crowds::*;
pub use deletion::*;
pub use families::*;
pub use once::*;
pub use restarts::*;
pub use rotations::*;
pub use subjects::*;
pub use sweeps::*;
pub use texts::*;

/// Exact maximum number of clients of a store under test.
pub const MAX_CLIENTS: usize = 8;

/// Failure of a case: the place in the test, the expected and the found value.
#[derive(Clone, PartialEq, Eq)]
pub struct Broken {
    at: &'static Location<'static>,
    expected: String,
    found: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, expected, found } = self;
        write!(f, "expected {expected}, found {found}; the store has to follow its contract ({at})")
    }
}

/// Prints the message of `Display`, because a test that returns an error prints its `Debug`.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Broken {}

impl From<StoreError> for Broken {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        let (expected, found) = ("an answer".to_owned(), format!("StoreError::{error:?}"));
        Self { at: Location::caller(), expected, found }
    }
}

/// Checks that both values are equal.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a case reads better without references")]
fn same<T: PartialEq + fmt::Debug>(found: T, expected: T) -> Result<(), Broken> {
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(Broken { at: Location::caller(), expected, found })
}

/// Checks that a value has this property.
#[track_caller]
fn fits<T: fmt::Debug>(
    found: &T,
    expected: &str,
    is: impl FnOnce(&T) -> bool,
) -> Result<(), Broken> {
    if is(found) {
        return Ok(());
    }
    let (expected, found) = (expected.to_owned(), format!("{found:?}"));
    Err(Broken { at: Location::caller(), expected, found })
}

/// Defines a test for each case of the [contract](mod@crate::store_contract).
///
/// `$run` runs a future to its end (`futures::executor::block_on`, `smol::block_on`, a function that starts a runtime).
/// `$fresh` is an async function that returns an empty store with room for [`MAX_CLIENTS`] clients, and a value that
/// must live as long as the store. `$reopen`, for durable stores, takes a store and a reference to that value, closes
/// the store and opens it again. Attributes after them are put on every test, as `#[ignore = "needs a server"]`.
#[macro_export]
macro_rules! store_contract {
    ($run:expr, $fresh:expr $(, #[$attribute:meta])*) => {
        $crate::store_contract! { @fresh [$(#[$attribute])*] $run, $fresh;
            a_client_is_read_back_as_it_was_stored
            an_unknown_client_is_nobody
            a_taken_identifier_is_refused_and_its_client_stays_as_it_was
            a_forgotten_client_is_still_read
            a_full_store_refuses_clients_and_keeps_those_it_has
            a_forgotten_client_takes_no_room
            a_full_store_with_a_clock_that_jumps_keeps_its_clients
            a_client_is_the_operators_only_if_it_was_stored_so
            clients_without_a_token_make_room_for_each_other
            a_client_that_redeemed_a_code_is_kept_beyond_its_family
            a_client_that_acts_for_itself_is_kept_beyond_its_family
            a_client_of_the_operators_is_kept_for_good
            a_client_whose_code_is_refused_is_not_kept

            a_deleted_client_is_gone_with_all_that_it_had
            a_deleted_client_takes_nothing_of_others_with_it
            what_a_client_without_a_row_has_ends_too
            deleting_nobody_changes_nothing
            a_deleted_client_makes_room
            a_client_that_comes_back_has_nothing_of_before

            a_code_is_read_back_as_it_was_stored
            an_unknown_code_is_none
            a_redeemed_code_is_used_and_has_its_family_and_token
            a_code_that_is_used_again_ends_its_family
            a_used_code_is_recognized_after_it_has_expired
            a_code_expires_at_its_second
            a_refused_redemption_leaves_nothing_behind
            a_client_without_a_row_redeems_its_code
            a_code_that_is_stored_again_stays_used
            two_codes_are_two

            a_family_is_read_back_as_it_was_stored
            an_unknown_family_is_none
            a_family_that_is_stored_again_stays_as_it_is
            a_revoked_family_ends_with_all_its_tokens
            revoking_what_is_not_there_or_over_is_no_error

            a_rotation_moves_its_family_on_by_one
            generations_follow_each_other
            a_predecessor_within_the_grace_window_gets_the_successor_again
            a_rotation_that_is_repeated_is_a_replay
            replays_do_not_prolong_the_grace_window
            the_grace_window_ends_at_its_second
            without_a_grace_window_a_predecessor_ends_the_family
            an_older_generation_ends_the_family_within_the_grace_window_too
            reuse_ends_every_token_of_the_family
            a_generation_that_never_was_ends_the_family
            a_revoked_family_does_not_rotate
            a_family_that_is_not_used_expires_at_its_second
            a_family_expires_at_its_last_second_however_often_it_is_used
            a_missing_family_does_not_rotate
            a_refused_rotation_stores_no_token
            a_clock_that_is_set_back_takes_no_one_for_a_thief

            a_token_is_known_with_its_family
            a_token_is_bound_as_it_was_given_and_not_as_its_family
            a_token_expires_at_its_second
            a_token_outlives_the_last_day_of_its_family
            older_tokens_of_a_family_live_on
            digests_that_differ_in_one_bit_are_different

            a_user_who_is_disabled_has_nothing_left
            a_client_that_one_user_does_not_trust_keeps_the_others
            a_user_is_meant_exactly
            revoking_nobody_changes_nothing

            a_consent_is_read_back_as_it_was_stored
            a_consent_replaces_what_stands_under_its_key
            a_consent_that_is_over_is_still_read

            a_key_is_fresh_once_and_seen_to_its_last_second
            keys_are_remembered_each_for_itself
            a_clock_that_is_set_back_forgets_no_key

            whatever_the_clock_says_a_used_code_is_used
            whatever_the_clock_says_a_revoked_family_is_over
            what_a_clock_that_ran_ahead_forgot_is_seen
            a_clock_that_ran_ahead_for_an_hour_stops_nobody
            each_kind_of_key_is_forgotten_for_itself
            a_key_that_is_long_over_is_forgotten
            what_a_sweep_took_does_not_come_back_with_the_clock
            a_family_that_rotates_at_the_end_of_time_rotates

            a_sweep_removes_no_more_than_it_is_asked_to
            sweeps_remove_all_that_has_expired
            a_sweep_is_not_a_second_early
            a_sweep_leaves_what_recognizes_a_code_that_is_used_again
            a_sweep_leaves_what_recognizes_older_generations
            a_sweep_leaves_what_was_revoked_revoked
            a_sweep_leaves_the_family_of_a_token_that_lives
            a_sweep_removes_forgotten_clients_alone

            users_of_any_name_are_kept_apart
            clients_of_any_name_are_kept_apart
            whatever_a_client_says_about_itself_is_kept
            long_texts_are_kept_whole
            a_name_as_long_as_its_type_allows_is_kept_whole_or_refused
            the_end_of_time_is_kept

            of_64_redemptions_one_wins
            of_64_rotations_without_grace_one_wins
            of_64_rotations_within_the_grace_window_one_rotates
            of_64_sights_of_a_key_one_is_fresh
            of_64_clients_of_one_name_one_is_created
            of_64_clients_as_many_are_created_as_there_is_room_for
            of_64_families_each_rotates_for_itself
            a_family_that_is_revoked_in_a_crowd_has_no_token_left
        }
    };
    ($run:expr, $fresh:expr, $reopen:expr $(, #[$attribute:meta])*) => {
        $crate::store_contract!($run, $fresh $(, #[$attribute])*);
        $crate::store_contract! { @reopen [$(#[$attribute])*] $run, $fresh, $reopen;
            all_is_there_after_a_restart
            what_is_over_stays_over_after_a_restart
            the_last_answer_before_a_restart_holds
        }
    };
    (@fresh $attributes:tt $run:expr, $fresh:expr; $($case:ident)*) => {$(
        $crate::store_contract! { @test $attributes
            fn $case() -> Result<(), $crate::store_contract::Broken> {
                ($run)(async {
                    let (store, _place) = ($fresh)().await;
                    $crate::store_contract::$case(&store).await
                })
            }
        }
    )*};
    (@reopen $attributes:tt $run:expr, $fresh:expr, $reopen:expr; $($case:ident)*) => {$(
        $crate::store_contract! { @test $attributes
            fn $case() -> Result<(), $crate::store_contract::Broken> {
                ($run)(async {
                    let (store, place) = ($fresh)().await;
                    $crate::store_contract::$case(store, async |store| ($reopen)(store, &place).await).await
                })
            }
        }
    )*};
    (@test [$($attribute:tt)*] $test:item) => { $($attribute)* #[test] $test };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_run() {
        let list = include_str!("store_contract.rs");
        let modules = [
            include_str!("store_contract/access.rs"),
            include_str!("store_contract/clients.rs"),
            include_str!("store_contract/clocks.rs"),
            include_str!("store_contract/codes.rs"),
            include_str!("store_contract/consents.rs"),
            include_str!("store_contract/crowds.rs"),
            include_str!("store_contract/deletion.rs"),
            include_str!("store_contract/families.rs"),
            include_str!("store_contract/once.rs"),
            include_str!("store_contract/restarts.rs"),
            include_str!("store_contract/rotations.rs"),
            include_str!("store_contract/subjects.rs"),
            include_str!("store_contract/sweeps.rs"),
            include_str!("store_contract/texts.rs"),
        ];
        let defined = modules.iter().flat_map(|text| text.split("\npub async fn ").skip(1));
        let names: Vec<_> = defined.filter_map(|text| text.split('<').next()).collect();
        assert!(names.len() >= 80, "{}", names.len());
        for name in names {
            assert!(list.lines().any(|line| line.trim() == name), "{name} is in no list");
        }
    }
}
