//! The consent page: no script, nothing from elsewhere, readable on a phone and in the dark.

use std::collections::BTreeMap;

use authorization_server::NeedsConsent;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::User;

const STYLE: &str = "
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
* { box-sizing: border-box; }
body { font: 1.05rem/1.5 system-ui, sans-serif; margin: 0; padding: 1rem; }
main { max-width: 30rem; margin: 6vh auto; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
dl { border: 1px solid var(--line); border-radius: .6rem; margin: 1rem 0; padding: .2rem 1rem; }
dt { font-size: .85rem; opacity: .8; margin-top: .7rem; }
dd { margin: 0 0 .7rem; font-weight: 600; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; margin: .3rem 0; }
.warning { border-left: .3rem solid #c77700; padding: .2rem 0 .2rem 1rem; }
form { display: flex; flex-wrap: wrap; gap: .8rem; margin-top: 1.5rem; }
button { font: inherit; font-weight: 600; padding: .7rem 1.4rem; border-radius: .6rem; cursor: pointer;
  border: 1px solid currentColor; background: transparent; color: inherit; flex: 1 1 8rem; }
button.allow { background: #1a56c4; border-color: #1a56c4; color: #fff; }
button:focus-visible { outline: .2rem solid #7aa7ff; outline-offset: .15rem; }
";

/// Shows who asks for what, and asks back.
pub(crate) fn consent(
    request: &NeedsConsent,
    user: &User,
    scope_texts: &BTreeMap<String, String>,
    (action, transaction, nonce): (&str, &str, &str),
) -> Markup {
    let text = |scope: &str| scope_texts.get(scope).cloned().unwrap_or_else(|| scope.to_owned());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Allow access?" }
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (request.client_name()) " asks for access" }
                    p { "You are logged in as " strong { (user.name) } "." }
                    dl {
                        dt { "To" }
                        dd { (request.resource()) }
                        dt { "It will be able to" }
                        dd { ul { @for scope in request.scopes().iter() { li { (text(scope)) } } } }
                        dt { "You will be sent back to" }
                        dd { (request.redirect_uri().display_host()) }
                    }
                    @if request.is_loopback_only() {
                        p.warning {
                            "This is a program on your own computer. Anything on it can use this name: allow \
                             access only if you started the login yourself just now."
                        }
                    }
                    form method="post" action=(action) {
                        input type="hidden" name="transaction" value=(transaction);
                        button.allow type="submit" name="decision" value="allow" { "Allow" }
                        button type="submit" name="decision" value="deny" { "Deny" }
                    }
                }
            }
        }
    }
}
