//! Several processes on one database.

use std::sync::Arc;

use authorization_server::Store as _;
use authorization_server::store::{CreateOutcome, OnceKind, RedeemOutcome, RotateOutcome};
use client_auth::Replay;
use futures::future::join_all;
use mcp_authz_postgres::PostgresStore;
use oauth_types::{SecretDigest, Subject};

use crate::samples::*;

const CROWD: u64 = 64;
const ROUNDS: u64 = 20;

/// Two stores with connections of their own, as two processes have them.
async fn nodes(place: &Place) -> Vec<Arc<PostgresStore>> {
    vec![Arc::new(place.open().await), Arc::new(place.open().await)]
}

/// What all of a crowd are answered, each by the next node, on threads of their own.
async fn crowd<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    nodes: &[Arc<PostgresStore>],
    ask: impl Fn(Arc<PostgresStore>, u64) -> F,
) -> Vec<T> {
    let asked = nodes.iter().cycle().zip(0..CROWD);
    let tasks: Vec<_> =
        asked.map(|(node, number)| tokio::spawn(ask(Arc::clone(node), number))).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn count<T: PartialEq>(outcomes: &[T], outcome: &T) -> usize {
    outcomes.iter().filter(|own| *own == outcome).count()
}

/// SEC-204, SEC-028
#[test]
#[ignore = "needs PostgreSQL"]
fn of_64_redemptions_on_two_nodes_one_wins() {
    run(async {
        let place = Place::new();
        let nodes = nodes(&place).await;
        for round in 0..ROUNDS {
            nodes[0].insert_code(code(round)).await.unwrap();
            let outcomes = crowd(&nodes, |node, number| async move {
                let family = family(1000 + round * CROWD + number);
                node.redeem(&code(round).digest, family, NOW).await.unwrap()
            })
            .await;
            assert_eq!(count(&outcomes, &RedeemOutcome::Redeemed), 1);
            let used = nodes[1].read_code(&code(round).digest).await.unwrap().unwrap();
            let winner = used.redeemed.unwrap();
            let lost = RedeemOutcome::AlreadyUsed(winner);
            assert_eq!(count(&outcomes, &lost), outcomes.len() - 1);
            assert!(nodes[0].read_family(&winner).await.unwrap().unwrap().revoked);
        }
        assert_eq!(place.sql("SELECT count(*) FROM families"), ROUNDS.to_string());
        assert_eq!(place.sql("SELECT count(*) FROM access"), ROUNDS.to_string());
    });
}

/// SEC-204, SEC-171
#[test]
#[ignore = "needs PostgreSQL"]
fn of_64_rotations_on_two_nodes_one_wins() {
    run(async {
        let place = Place::new();
        let nodes = nodes(&place).await;
        for (round, grace) in (0..ROUNDS).zip([10, 0].into_iter().cycle()) {
            nodes[0].insert_family(family(round), NOW).await.unwrap();
            let outcomes = crowd(&nodes, |node, number| async move {
                let mut rotation = rotation(round, 0);
                rotation.access = access(round, 1000 + number);
                rotation.grace = core::time::Duration::from_secs(grace);
                node.rotate(rotation, NOW).await.unwrap()
            })
            .await;
            assert_eq!(count(&outcomes, &RotateOutcome::Rotated), 1);
            let family = nodes[1].read_family(&family_id(round)).await.unwrap().unwrap();
            assert_eq!((family.generation.get(), family.revoked), (1, grace == 0));
            let mut live = 0;
            for number in 0..CROWD {
                let digest = access(round, 1000 + number).digest;
                live += usize::from(nodes[0].access(&digest, NOW).await.unwrap().is_some());
            }
            if grace == 0 {
                assert_eq!(count(&outcomes, &RotateOutcome::Reused), 1);
                assert_eq!(count(&outcomes, &RotateOutcome::Revoked), outcomes.len() - 2);
                assert_eq!(live, 0);
            } else {
                let replays = count(&outcomes, &RotateOutcome::GraceReplay);
                assert_eq!((replays, live), (outcomes.len() - 1, outcomes.len()));
            }
        }
    });
}

/// SEC-204, SEC-086
#[test]
#[ignore = "needs PostgreSQL"]
fn of_64_sights_of_a_key_on_two_nodes_one_is_fresh() {
    run(async {
        let place = Place::new();
        let nodes = nodes(&place).await;
        for round in 0..ROUNDS {
            // One that is new, and then one whose time is over.
            for second in [0, 60] {
                let outcomes = crowd(&nodes, |node, _| async move {
                    let key = SecretDigest::of(&format!("key {round}"));
                    node.put_once(OnceKind::ResourceRequest, &key, at(second + 60), at(second))
                        .await
                        .unwrap()
                })
                .await;
                assert_eq!(count(&outcomes, &Replay::Fresh), 1);
            }
        }
    });
}

/// SEC-204
#[test]
#[ignore = "needs PostgreSQL"]
fn a_node_with_a_slow_clock_sees_a_key_that_another_forgets() {
    run(async {
        let place = Place::new();
        let store = Arc::new(place.open().await);
        let key = access(1, 0).digest;
        assert_eq!(
            store.put_once(OnceKind::ResourceRequest, &key, at(60), at(0)).await,
            Ok(Replay::Fresh)
        );
        // A sweep of another node's, which has not been committed yet.
        let (mut other, connection) =
            tokio_postgres::connect(&place.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let sweep = other.transaction().await.unwrap();
        sweep.batch_execute("DELETE FROM mcp_oauth.once").await.unwrap();
        let end = i64::try_from(at(60).as_secs()).unwrap();
        sweep.execute("UPDATE mcp_oauth.forgotten SET until = $1", &[&end]).await.unwrap();
        let putting = Arc::clone(&store);
        let again = tokio::spawn(async move {
            putting.put_once(OnceKind::ResourceRequest, &key, at(60), at(59)).await
        });
        tokio::time::sleep(core::time::Duration::from_millis(300)).await;
        assert!(!again.is_finished());
        sweep.commit().await.unwrap();
        assert_eq!(again.await.unwrap(), Ok(Replay::Seen));
        let later = access(2, 0).digest;
        assert_eq!(
            store.put_once(OnceKind::ResourceRequest, &later, at(60), at(59)).await,
            Ok(Replay::Seen)
        );
        assert_eq!(
            store.put_once(OnceKind::ResourceRequest, &later, at(61), at(59)).await,
            Ok(Replay::Fresh)
        );
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn registrations_at_two_nodes_never_overfill_the_store() {
    run(async {
        let place = Place::new();
        let small = settings().with_max_clients(10);
        let nodes =
            vec![Arc::new(place.open_with(&small).await), Arc::new(place.open_with(&small).await)];
        for round in 0..5 {
            // All of the last round are forgotten now, and each makes room for one. Those without a token take half.
            let now = at(round * 100);
            let outcomes = crowd(&nodes, |node, number| async move {
                let client = client(round * CROWD + number, at(round * 100 + 100));
                node.create_client(client, now).await.unwrap()
            })
            .await;
            assert_eq!(count(&outcomes, &CreateOutcome::Created), outcomes.len(), "round {round}");
            let counts = "SELECT count(*), max(value), max(counters.unused) FROM clients, counters";
            assert_eq!(place.sql(counts), "5|5|5");
        }
        // While the one forgets, sweeps and deletes, and the other registers, or gives the first token.
        let swept = crowd(&nodes, |node, number| async move {
            let client = client(1000 + number, at(100_000));
            let id = client.client_id.clone();
            match number % 4 {
                0 => node.sweep(at(500 + number), 3).await.map(drop).unwrap(),
                1 => node.delete_client(&id, at(500)).await.unwrap(),
                2 => {
                    let mut family = family(number);
                    family.client_id = crate::samples::client(1000 + number + 1, NOW).client_id;
                    node.insert_family(family, at(500)).await.unwrap();
                }
                _ => drop(node.create_client(client, at(500)).await.unwrap()),
            }
        });
        swept.await;
        let counts = "SELECT (SELECT count(*) FROM clients) = value, \
            (SELECT count(*) FROM clients WHERE clients.unused) = unused FROM counters";
        assert_eq!(place.sql(counts), "t|t");
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_user_disabled_while_codes_are_redeemed_has_no_token_left() {
    run(async {
        let place = Place::new();
        let nodes = nodes(&place).await;
        for round in 0..ROUNDS {
            for number in 0..CROWD {
                let mut code = code(round * CROWD + number);
                code.subject = Subject::parse("mallory").unwrap();
                nodes[0].insert_code(code).await.unwrap();
            }
            crowd(&nodes, |node, number| async move {
                let number = round * CROWD + number;
                let mut family = family(number);
                family.subject = Subject::parse("mallory").unwrap();
                if number % CROWD == 20 {
                    let id = family.client_id.clone();
                    match round % 2 {
                        0 => node
                            .revoke_subject(&Subject::parse("mallory").unwrap(), None, NOW)
                            .await
                            .unwrap(),
                        _ => node.delete_client(&id, NOW).await.unwrap(),
                    }
                } else {
                    node.redeem(&code(number).digest, family, NOW).await.unwrap();
                }
            })
            .await;
            assert_eq!(place.sql("SELECT count(*) FROM families WHERE NOT revoked"), "0");
            assert_eq!(place.sql("SELECT count(*) FROM codes"), "0");
        }
    });
}
