//! What a client does all the time, until nobody answers, or it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::{Client, Grant, Unanswered};
use crate::ledger::{Ledger, Login, Operation};

/// Registers, logs in, uses and renews tokens, ends some; and notes each answer.
pub(crate) async fn work(client: Client, is_over: Arc<AtomicBool>) -> Ledger {
    let mut ledger = Ledger::default();
    // Whoever is not answered notes what is in doubt, and ends.
    let _ = go_on(&client, &mut ledger, &is_over).await;
    ledger
}

async fn go_on(
    client: &Client,
    ledger: &mut Ledger,
    is_over: &AtomicBool,
) -> Result<(), Unanswered> {
    let client_id = client.register().await?;
    ledger.answers += 1;
    ledger.client_id = Some(client_id.clone());
    let mut number = 0;
    while !is_over.load(Ordering::SeqCst) {
        let code = client.log_in(&client_id).await?;
        ledger.answers += 2;
        let mut login = Login::new(&client_id, code);
        let outcome = live(client, &mut login, number, &mut ledger.answers).await;
        ledger.logins.push(login);
        outcome?;
        number += 1;
    }
    Ok(())
}

/// What comes of one code.
async fn live(
    client: &Client,
    login: &mut Login,
    number: u64,
    answers: &mut u64,
) -> Result<(), Unanswered> {
    login.doubt = Some(Operation::Redeem);
    if number % 4 == 2 {
        // A double click, or a thief: one gets tokens, and the other ends them.
        let redeem = || client.redeem(&login.client_id, &login.code);
        let (one, other) = tokio::join!(redeem(), redeem());
        let heard: Vec<_> = [one, other].into_iter().flatten().collect();
        *answers += u64::try_from(heard.len()).unwrap();
        let are_both = heard.len() == 2;
        heard.into_iter().for_each(|grant| login.redeemed(grant));
        if !are_both {
            return Err(Unanswered::Cut);
        }
        assert_eq!((login.tokens.len(), login.is_over), (1, true), "one winner");
    } else {
        let grant = client.redeem(&login.client_id, &login.code).await?;
        assert!(matches!(grant, Grant::Tokens(_)), "a code is good once");
        login.redeemed(grant);
        *answers += 1;
    }
    login.doubt = None;
    if let Some(tokens) = login.tokens.last() {
        assert_eq!(client.is_let_in(&tokens.access).await?, !login.is_over);
        *answers += 1;
    }
    for _ in 0..(if login.is_over { 0 } else { number % 3 }) {
        login.doubt = Some(Operation::Refresh);
        let token = login.refresh().expect("it was redeemed");
        let Grant::Tokens(next) = client.refresh(&login.client_id, token).await? else {
            panic!("a refresh token is good once: {login:?}");
        };
        login.tokens.push(next);
        login.doubt = None;
        *answers += 1;
    }
    if number % 5 == 3 && !login.is_over {
        login.doubt = Some(Operation::Revoke);
        let token = login.refresh().expect("it was redeemed");
        client.revoke(&login.client_id, token).await?;
        (login.is_over, login.doubt) = (true, None);
        *answers += 1;
    }
    Ok(())
}
