//! Two server processes behind one issuer, on one database.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use futures::future::join_all;

use crate::client::{Client, Grant, Tokens, Unanswered};
use crate::database::Database;
use crate::ledger::Family;
use crate::server::{Server, Setup};

const CLIENTS: usize = 64;
/// How often each code, and each refresh token, is sent: half to either process, all at the same time.
const ATTEMPTS: usize = 8;
/// How often each family is renewed.
const ROTATIONS: u32 = 2;
/// Attempts of a fight: for one code, and for each of two refresh tokens.
const FIGHT: usize = ATTEMPTS * 3;

/// Two processes, and who speaks to them.
struct Pair {
    _servers: [Server; 2],
    clients: [Client; 2],
}

impl Pair {
    fn start(database: &Database) -> Self {
        let setups = Setup::two(&database.arguments());
        let servers = setups.each_ref().map(Setup::start);
        Self { _servers: servers, clients: setups.each_ref().map(Client::of) }
    }
}

/// A login that is at the other process with each step.
async fn hop([one, other]: [&Client; 2], client_id: &str) -> Result<(), Unanswered> {
    let code = other.agree(&one.ask(client_id).await?).await?;
    let Grant::Tokens(first) = one.redeem(client_id, &code).await? else { panic!("it is good") };
    assert!(other.is_let_in(&first.access).await?);
    let Grant::Tokens(next) = other.refresh(client_id, &first.refresh).await? else {
        panic!("it is good, too");
    };
    assert!(one.is_let_in(&next.access).await?);
    // A lost answer is repeated at whoever is there.
    let Grant::Tokens(again) = one.refresh(client_id, &first.refresh).await? else {
        panic!("it is in its grace");
    };
    assert_eq!(again.refresh, next.refresh);
    one.revoke(client_id, &next.refresh).await?;
    for tokens in [&first, &next, &again] {
        assert!(!other.is_let_in(&tokens.access).await?);
        assert_eq!(other.refresh(client_id, &tokens.refresh).await?, Grant::Refused);
    }
    Ok(())
}

async fn hops(database: Database) {
    let pair = Pair::start(&database);
    let [one, other] = &pair.clients;
    let client_id = one.register().await.unwrap();
    hop([one, other], &client_id).await.unwrap();
    hop([other, one], &client_id).await.unwrap();
    // What was used at one is used at the other, and what came of it ends there.
    let code = one.log_in(&client_id).await.unwrap();
    let Ok(Grant::Tokens(tokens)) = one.redeem(&client_id, &code).await else { panic!("good") };
    assert_eq!(other.redeem(&client_id, &code).await, Ok(Grant::Refused));
    assert_eq!(one.is_let_in(&tokens.access).await, Ok(false));
}

/// SEC-204, SEC-027
#[tokio::test]
async fn a_login_hops_between_two_processes() {
    hops(Database::sqlite()).await;
}

/// SEC-204, SEC-027
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_login_hops_between_two_processes_on_postgresql() {
    hops(Database::postgres()).await;
}

/// What the database has to have of one code.
type Expected = (String, Family);

/// Sends the same to both processes, all of it at once.
async fn at_once<F: Future<Output = Result<Grant, Unanswered>>>(
    clients: &[Client; 2],
    send: impl Fn(Client) -> F,
) -> Vec<Tokens> {
    let attempts = (0..ATTEMPTS).map(|number| send(clients[number % 2].clone()));
    let grants = join_all(attempts).await.into_iter().map(|grant| grant.expect("an answer"));
    grants.filter_map(Grant::tokens).collect()
}

/// Two logins: the code of one is fought for, and then each refresh token of the other.
async fn fight(clients: &[Client; 2], client_id: &str) -> Result<[Expected; 2], Unanswered> {
    let [one, other] = clients;
    let code = other.agree(&one.ask(client_id).await?).await?;
    let redeem = async |client: Client| client.redeem(client_id, &code).await;
    assert_eq!(at_once(clients, redeem).await.len(), 1, "one winner");
    let fought_for = (code.clone(), Family { generation: 0, is_revoked: true });

    let code = one.agree(&other.ask(client_id).await?).await?;
    let mut tokens = other.redeem(client_id, &code).await?.tokens().expect("nobody else has it");
    for _ in 0..ROTATIONS {
        let refresh = async |client: Client| client.refresh(client_id, &tokens.refresh).await;
        let given = at_once(clients, refresh).await;
        let successors: BTreeSet<_> = given.iter().map(|tokens| &*tokens.refresh).collect();
        assert_eq!((given.len(), successors.len()), (ATTEMPTS, 1), "one successor");
        let next = given.into_iter().next_back().expect("there is one");
        assert_ne!(next.refresh, tokens.refresh);
        tokens = next;
    }
    assert_eq!(one.is_let_in(&tokens.access).await, Ok(true));
    Ok([fought_for, (code, Family { generation: ROTATIONS, is_revoked: false })])
}

async fn fights(attempts: usize) {
    let database = Database::postgres();
    let pair = Arc::new(Pair::start(&database));
    let begun = Instant::now();
    let left = Arc::new(AtomicUsize::new(attempts));
    let tasks = (0..CLIENTS).map(|number| {
        let (pair, left) = (Arc::clone(&pair), Arc::clone(&left));
        tokio::spawn(async move {
            let client_id = pair.clients[number % 2].register().await.unwrap();
            let mut expected = Vec::new();
            let begin = |left: usize| (left > 0).then(|| left.saturating_sub(FIGHT));
            while left.fetch_update(SeqCst, SeqCst, begin).is_ok() {
                expected.extend(fight(&pair.clients, &client_id).await.unwrap());
            }
            expected
        })
    });
    let done = join_all(tasks.collect::<Vec<_>>()).await.into_iter().flat_map(Result::unwrap);
    let look = database.look();
    let mut codes = 0;
    for (code, family) in done {
        assert_eq!(look.family(&code), Some(family));
        codes += 1;
    }
    look.is_sound();
    let seconds = begun.elapsed().as_secs();
    let made = codes / 2 * FIGHT;
    writeln!(std::io::stdout().lock(), "{made} attempts, {codes} codes, {seconds} s").unwrap();
}

/// SEC-204, SEC-028, SEC-171
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, and needs PostgreSQL"]
async fn one_winner_at_two_processes_in_100_000_attempts() {
    fights(100_000).await;
}
