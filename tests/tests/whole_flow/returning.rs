//! Clients that come back with a kept registration after the server dropped it.

use std::cell::Cell;

use crate::*;
use authorization_server::Store as _;
use client_flow::{Session, Step, StoredCredentials, login};
use tests::world::{MCP, World, client_config, now_or_never};

/// A login of a client that keeps one record; what the browser comes back with, if it does, is `browse`'s to say.
fn run(
    world: &World,
    kept: &mut Option<StoredCredentials>,
    browse: &dyn Fn(&str) -> Option<String>,
) -> Option<Session> {
    let mut step = login(client_config(), MCP, None, None).unwrap();
    loop {
        step = match step {
            Step::LoadCredentials(recall) => recall.resume(kept.clone(), world.now()).unwrap(),
            Step::SaveCredentials(save) => {
                *kept = Some(save.record().clone());
                save.saved().unwrap()
            }
            Step::SendRequest(exchange) => {
                let response = world.answer(exchange.request());
                exchange.resume(Ok(response), world.now()).unwrap()
            }
            Step::GenerateRandom(draw) => {
                draw.resume(world.entropy(), world.entropy(), world.now()).unwrap()
            }
            Step::OpenBrowser(visit) => {
                let callback = browse(visit.url())?;
                visit.resume(iss_validate::Callback::from_url(&callback), world.now()).unwrap()
            }
            Step::Ready(session) => return Some(*session),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_user_who_closed_the_consent_page_logs_in_a_week_later() {
    let world = world();
    let mut kept = None;
    assert!(run(&world, &mut kept, &|_| None).is_none());
    // The server sweeps clients that nobody has logged in with for a day, once it has seen that the clock goes on.
    world.advance(7 * 24 * 60 * 60);
    now_or_never(world.store.sweep(world.now(), 100)).unwrap();
    world.advance(3 * 60 * 60);
    assert!(now_or_never(world.store.sweep(world.now(), 100)).unwrap() > 0);
    let agrees = |url: &str| Some(world.authorize(url).unwrap());
    assert!(run(&world, &mut kept, &agrees).is_some());
    assert_eq!(world.count("/register"), 2);
    // The registration that worked is used again, however much later.
    kept.as_mut().unwrap().tokens = None;
    world.advance(7 * 24 * 60 * 60);
    now_or_never(world.store.sweep(world.now(), 100)).unwrap();
    assert!(run(&world, &mut kept, &agrees).is_some());
    assert_eq!(world.count("/register"), 2);
}

/// SEC-240
#[test]
fn a_server_that_lost_its_clients_shows_one_error_page() {
    let world = world();
    let mut kept = None;
    assert!(run(&world, &mut kept, &|url| Some(world.authorize(url).unwrap())).is_some());
    kept.as_mut().unwrap().tokens = None;
    // Another server at the same address, which knows nobody.
    let other = self::world();
    let pages = Cell::new(0);
    let browse = |url: &str| {
        pages.set(pages.get() + 1);
        other.authorize(url).ok()
    };
    let logins = (1..=3).find(|_| run(&other, &mut kept, &browse).is_some());
    assert_eq!((logins, pages.get(), other.count("/register")), (Some(2), 2, 1));
}
