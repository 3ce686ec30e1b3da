//! Many at once: every one of a crowd has looked at the store before any of them changes it. And requests that nobody
//! finishes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use authorization_server::store::{FamilyRecord, Generation, RedeemOutcome, RotateOutcome};
use authorization_server::{Lifetimes, Store as _};
use bytes::Bytes;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use oauth_types::SecretDigest;

use crate::server::*;
use crate::watched::Watched;

const CROWD: usize = 64;
const ROUNDS: usize = 50;

/// A server whose crowds redeem or refresh at once.
fn server(redeemers: usize, rotators: usize, grace: u64) -> (Server<Watched>, Arc<Watched>) {
    let lifetimes = Lifetimes::default().with_refresh_grace(Duration::from_secs(grace));
    let config = config("https://as.example").with_lifetimes(lifetimes).unwrap();
    Watched::server(config, (redeemers, rotators))
}

/// The answers to one request, sent by a crowd.
fn crowd(server: &Server<Watched>, body: &str) -> Vec<Answer> {
    thread::scope(|scope| {
        let send = || server.form("/token", body);
        let all: Vec<_> = (0..CROWD).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// The answers that give tokens; all others are `invalid_grant`.
fn winners(answers: &[Answer]) -> Vec<&Answer> {
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::OK);
    for answer in lost {
        let is = (answer.status, &*answer.error());
        assert_eq!(is, (StatusCode::BAD_REQUEST, "invalid_grant"));
    }
    won
}

/// How many refreshes had this outcome.
fn rotations(store: &Watched, outcome: RotateOutcome) -> usize {
    store.seen(|seen| seen.rotated.iter().filter(|own| **own == outcome).count())
}

/// The one family of a test.
fn family(server: &Server<Watched>, store: &Watched) -> FamilyRecord {
    let id = store.seen(|seen| seen.redeemed[0].0);
    block_on(server.store.read_family(&id)).unwrap().unwrap()
}

fn member(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap().to_owned()
}

fn refresh(client: &str, token: &str) -> String {
    format!("grant_type=refresh_token&client_id={client}&refresh_token={token}")
}

/// A-TOKEN-1, A-TOKEN-2, SEC-028: 64 redemptions leave one family.
#[test]
fn redemptions_of_one_code_at_once_have_one_winner() {
    for _ in 0..ROUNDS {
        let (server, store) = server(CROWD, 1, 10);
        let client = server.client();
        let code = server.code(&client);
        let answers = crowd(&server, &redeem(&client, &code));
        let won = winners(&answers);
        assert_eq!(won.len(), 1);
        // One was redeemed, and all others met its family.
        let redeemed = store.seen(|seen| seen.redeemed.clone());
        let is_first = |own: &&(_, _)| own.1 == RedeemOutcome::Redeemed;
        let first = redeemed.iter().find(is_first).unwrap().0;
        let met = |own: &&(_, _)| own.1 == RedeemOutcome::AlreadyUsed(first);
        assert_eq!(redeemed.iter().filter(met).count(), CROWD - 1);
        for (family, _) in redeemed {
            let stored = block_on(server.store.read_family(&family)).unwrap();
            assert_eq!(stored.is_some(), family == first);
            // Whoever redeemed twice may be a thief: nobody keeps what came of it.
            assert!(stored.is_none_or(|family| family.revoked));
        }
        let access = SecretDigest::of(&member(won[0], "access_token"));
        assert!(block_on(server.store.access(&access, NOW)).unwrap().is_none());
    }
}

/// A-TOKEN-4, SEC-171: 64 refreshes of one token.
#[test]
fn refreshes_at_once_without_grace_have_one_winner() {
    for _ in 0..ROUNDS {
        let (server, store) = server(1, CROWD, 0);
        let client = server.client();
        let code = server.code(&client);
        let tokens = server.form("/token", &redeem(&client, &code));
        let answers = crowd(&server, &refresh(&client, &member(&tokens, "refresh_token")));
        assert_eq!(winners(&answers).len(), 1);
        assert_eq!(rotations(&store, RotateOutcome::Rotated), 1);
        assert_eq!(rotations(&store, RotateOutcome::Reused), 1);
        assert_eq!(rotations(&store, RotateOutcome::Revoked), CROWD - 2);
        let family = family(&server, &store);
        assert_eq!((family.generation, family.revoked), (Generation::new(1), true));
    }
}

/// A-TOKEN-4, SEC-171: 64 refreshes of one token.
#[test]
fn refreshes_at_once_within_the_grace_window_get_one_successor() {
    for _ in 0..ROUNDS {
        let (server, store) = server(1, CROWD, 10);
        let client = server.client();
        let code = server.code(&client);
        let tokens = server.form("/token", &redeem(&client, &code));
        let old = member(&tokens, "refresh_token");
        let answers = crowd(&server, &refresh(&client, &old));
        assert_eq!(winners(&answers).len(), CROWD);
        assert_eq!(rotations(&store, RotateOutcome::Rotated), 1);
        assert_eq!(rotations(&store, RotateOutcome::GraceReplay), CROWD - 1);
        let family = family(&server, &store);
        assert_eq!((family.generation, family.revoked), (Generation::new(1), false));
        // One successor, and an access token for each that works.
        let all = |name| answers.iter().map(|answer| member(answer, name)).collect::<BTreeSet<_>>();
        let successors = all("refresh_token");
        assert!(successors.len() == 1 && !successors.contains(&old));
        let access = all("access_token");
        assert_eq!(access.len(), CROWD);
        for token in access {
            let token = SecretDigest::of(&token);
            assert!(block_on(server.store.access(&token, NOW)).unwrap().is_some());
        }
        // And the successor can be refreshed, by the next crowd.
        let next = crowd(&server, &refresh(&client, successors.first().unwrap()));
        assert_eq!(winners(&next).len(), CROWD);
    }
}

/// Sends a request and gives it up after it was polled so often; `None` when it was.
fn cut_off(server: &Server<Watched>, body: &str, polls: usize) -> Option<Answer> {
    let request = Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.body(Bytes::from(body.to_owned())).unwrap();
    let mut answer = pin!(server.answer(&request));
    for _ in 0..polls {
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(answer);
        }
    }
    None
}

/// A-TOKEN-1, A-TOKEN-4
#[test]
fn a_request_that_is_cut_off_has_changed_all_or_nothing() {
    let (mut unchanged, mut unanswered) = ([0, 0], [0, 0]);
    for polls in 0..100 {
        let (server, store) = server(1, 1, 10);
        let client = server.client();
        let code = server.code(&client);
        let first = cut_off(&server, &redeem(&client, &code), polls);
        let used = block_on(server.store.read_code(&SecretDigest::of(&code))).unwrap().unwrap();
        let given = store.seen(|seen| seen.redeemed.first().copied());
        let Some(id) = used.redeemed else {
            // The same request works, once.
            assert!(first.is_none() && given.is_none());
            unchanged[0] += 1;
            assert_eq!(server.form("/token", &redeem(&client, &code)).status, StatusCode::OK);
            continue;
        };
        // Whoever was not told what came of it cannot have it, but all of it is there.
        assert!(block_on(server.store.read_family(&id)).unwrap().is_some());
        let Some(tokens) = first else {
            unanswered[0] += 1;
            let again = server.form("/token", &redeem(&client, &code));
            assert_eq!(again.error(), "invalid_grant");
            continue;
        };

        let old = member(&tokens, "refresh_token");
        let second = cut_off(&server, &refresh(&client, &old), polls % 10);
        let generation = family(&server, &store).generation;
        let is_changed = generation == Generation::new(1);
        unchanged[1] += usize::from(!is_changed);
        unanswered[1] += usize::from(is_changed && second.is_none());
        assert!(is_changed || second.is_none());
        // The same request gives the one successor there is, whether or not it was there before.
        let again = server.form("/token", &refresh(&client, &old));
        assert_eq!(again.status, StatusCode::OK);
        assert_eq!(family(&server, &store).generation, Generation::new(1));
        if let Some(second) = second {
            assert_eq!(member(&second, "refresh_token"), member(&again, "refresh_token"));
        }
    }
    assert!(
        unchanged.iter().chain(&unanswered).all(|times| *times > 0),
        "{unchanged:?} {unanswered:?}"
    );
}
