//! Mix-up attack: the browser returns with a response of another authorization server (RFC 9207 §1).

use http::Method;
use mcp_authz_reqwest::AuthorizedClient;
use oauth_types::RedirectUri;
use tokio::sync::mpsc::unbounded_channel;

use crate::run::connect;
use crate::servers::Servers;
use crate::user::ForgedReturn;

/// A text that must not reach the user.
const ALARM: &str = "555";

const FORGERIES: [(&str, &str); 2] = [
    (
        "a code, so that the client hands its verifier to the attacker's token endpoint",
        "code=stolen-code&iss=https%3A%2F%2Fattacker.example",
    ),
    (
        "an error whose text frightens the user into calling somebody",
        "error=access_denied&error_description=ACCOUNT+LOCKED%3A+call+%2B1+555+0100+NOW&iss=https%3A%2F%2Fattacker.example",
    ),
];

/// Plays each forgery; fails if one of them succeeds.
pub(crate) async fn mix_up() -> anyhow::Result<()> {
    for (what, forged) in FORGERIES {
        println!("The browser comes back with {what}.");
        let (tap, mut wire) = unbounded_channel();
        let servers = Servers::start(Some(tap)).await?;
        let redirect_uri = RedirectUri::parse("http://127.0.0.1/callback")?;
        let user = ForgedReturn { redirect_uri, forged };
        let client = AuthorizedClient::new(&servers.mcp_url, "Scoped tools demo", user)?;
        let Err(error) = connect(client).await else {
            anyhow::bail!("the forged callback was accepted");
        };
        servers.stop().await;
        let shown = format!("{error:#} {error:?}");
        let mut token_requests = 0;
        while let Ok(exchange) = wire.try_recv() {
            token_requests +=
                u32::from(exchange.method == Method::POST && exchange.path == "/token");
        }
        println!("    The client answers: {error:#}");
        println!("    Requests to any token endpoint: {token_requests}");
        anyhow::ensure!(token_requests == 0, "a token request was sent");
        anyhow::ensure!(!shown.contains(ALARM), "the forged text was shown");
        anyhow::ensure!(!shown.contains("stolen-code"), "the forged code was shown");
        anyhow::ensure!(
            shown.contains("another authorization server"),
            "refused for another reason"
        );
        println!("    Refused, and none of its text is shown.\n");
    }
    Ok(())
}
