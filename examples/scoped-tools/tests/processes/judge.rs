//! What is found after a kill, over HTTP: all that was acknowledged, and no more.

use crate::client::{Client, Grant, Unanswered};
use crate::ledger::{Ledger, Login, Operation};

/// Finds everything of a client again, asks again what was not answered, and leaves nothing in doubt.
pub(crate) async fn judge(client: &Client, ledger: &mut Ledger) -> Result<(), Unanswered> {
    if let Some(client_id) = &ledger.client_id {
        let code = client.log_in(client_id).await?;
        let mut login = Login::new(client_id, code);
        login.redeemed(client.redeem(client_id, &login.code).await?);
        ledger.logins.push(login);
    }
    for (number, login) in ledger.logins.iter_mut().enumerate() {
        repeat(client, login).await?;
        check(client, login).await?;
        renew(client, login).await?;
        abuse(client, login, number).await?;
        check(client, login).await?;
    }
    Ok(())
}

/// Sends again what was not answered.
async fn repeat(client: &Client, login: &mut Login) -> Result<(), Unanswered> {
    let doubt = login.doubt.take();
    match (doubt, login.refresh()) {
        (Some(Operation::Redeem), _) => {
            let grant = client.redeem(&login.client_id, &login.code).await?;
            login.redeemed(grant);
        }
        // What it does is the same again; a lost answer, and its repetition.
        (Some(Operation::Refresh), Some(_)) => renew(client, login).await?,
        (Some(Operation::Revoke), Some(token)) => {
            client.revoke(&login.client_id, token).await?;
            login.is_over = true;
        }
        (Some(_), None) => panic!("it has no token: {login:?}"),
        (None, _) => {}
    }
    // A code that was given out is stored, and nobody used it.
    if login.tokens.is_empty() && !login.is_over {
        let grant = client.redeem(&login.client_id, &login.code).await?;
        assert!(matches!(grant, Grant::Tokens(_)), "a code is lost: {login:?}");
        login.redeemed(grant);
    }
    Ok(())
}

/// Refreshes, twice with the same token, and gets the same successor.
async fn renew(client: &Client, login: &mut Login) -> Result<(), Unanswered> {
    let Some(token) = login.refresh() else { return Ok(()) };
    let refresh = || client.refresh(&login.client_id, token);
    let (one, other) = (refresh().await?, refresh().await?);
    match (one, other) {
        (Grant::Tokens(one), Grant::Tokens(other)) if !login.is_over => {
            assert_eq!(one.refresh, other.refresh, "two successors: {login:?}");
            assert_ne!(one.refresh, token);
            login.tokens.push(other);
        }
        (Grant::Refused, Grant::Refused) if login.is_over => {}
        grants => panic!("{grants:?} for {login:?}"),
    }
    Ok(())
}

/// Every access token is good, or none.
async fn check(client: &Client, login: &Login) -> Result<(), Unanswered> {
    for tokens in &login.tokens {
        let is_let_in = client.is_let_in(&tokens.access).await?;
        assert_eq!(is_let_in, !login.is_over, "{login:?}");
    }
    Ok(())
}

/// What a thief would do, to some: nothing comes of it but the end of the family.
async fn abuse(client: &Client, login: &mut Login, number: usize) -> Result<(), Unanswered> {
    let spent = match (number % 3, login.tokens.as_slice()) {
        (0, _) => {
            let redeem = || client.redeem(&login.client_id, &login.code);
            let (one, other) = tokio::join!(redeem(), redeem());
            [one?, other?]
        }
        // Not the one before the last: that may be repeated.
        (1, [first, _, _, ..]) => {
            let refresh = || client.refresh(&login.client_id, &first.refresh);
            [refresh().await?, refresh().await?]
        }
        _ => return Ok(()),
    };
    assert_eq!(spent, [Grant::Refused, Grant::Refused], "spent twice: {login:?}");
    login.is_over = true;
    Ok(())
}
