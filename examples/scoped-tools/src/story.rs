//! Expected HTTP exchanges in their order, each with a check and an explanation.

use http::header::WWW_AUTHENTICATE;
use http::{Method, StatusCode};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::wire::Exchange;

/// One expected exchange.
struct Chapter {
    title: &'static str,
    why: &'static str,
    /// Returns `true` if the request of an exchange is that of this chapter.
    is_it: fn(&Exchange) -> bool,
    /// Returns `true` if the exchange is as expected.
    holds: fn(&Exchange) -> bool,
}

fn get(exchange: &Exchange, path: &str) -> bool {
    exchange.method == Method::GET && exchange.path.contains(path)
}

fn post(exchange: &Exchange, path: &str) -> bool {
    exchange.method == Method::POST && exchange.path == path
}

fn calls(exchange: &Exchange, tool: &str) -> bool {
    exchange.path == "/mcp" && exchange.operation() == format!("tools/call {tool}")
}

fn asks_for(exchange: &Exchange, scope: &str) -> bool {
    exchange.status == StatusCode::OK
        && exchange.query_value("scope").as_deref() == Some(scope)
        && exchange.query_value("code_challenge_method").as_deref() == Some("S256")
        && exchange.query_value("resource").is_some_and(|resource| resource.ends_with("/mcp"))
}

fn comes_back(exchange: &Exchange) -> bool {
    exchange.status == StatusCode::SEE_OTHER
        && ["code", "state", "iss"].iter().all(|name| exchange.redirect_value(name).is_some())
}

fn gives(exchange: &Exchange, scope: &str) -> bool {
    exchange.status == StatusCode::OK
        && exchange.form_value("code_verifier").is_some()
        && exchange.form_value("resource").is_some()
        // A response without `scope` grants the requested scope (RFC 6749 §5.1).
        && exchange.member("scope").is_none_or(|granted| granted == scope)
        && exchange.member("access_token").is_some()
}

const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "The client calls the MCP server and is turned away",
        why: "It has no token. The refusal says where to learn who gives tokens out, and which \
              permission (\"scope\") is needed.",
        is_it: |exchange| exchange.path == "/mcp" && !exchange.had_token,
        holds: |exchange| {
            let challenge = exchange.header(WWW_AUTHENTICATE);
            exchange.status == StatusCode::UNAUTHORIZED
                && challenge.contains("resource_metadata=")
                && challenge.contains("scope=\"files:read\"")
                && !challenge.contains("error=")
        },
    },
    Chapter {
        title: "It reads what the MCP server says about itself",
        why: "The \"protected resource metadata\" names the authorization server that the MCP server \
              trusts. The client checks that it speaks of the very server being called.",
        is_it: |exchange| get(exchange, "/.well-known/oauth-protected-resource"),
        holds: |exchange| {
            exchange.status == StatusCode::OK && exchange.member("authorization_servers").is_some()
        },
    },
    Chapter {
        title: "It reads what the authorization server says about itself",
        why: "Its endpoints, that it protects codes with PKCE (S256), and that every answer of its login \
              names it (iss). The client refuses to go on if it calls itself anything but exactly what the \
              MCP server called it.",
        is_it: |exchange| get(exchange, "/.well-known/oauth-authorization-server"),
        holds: |exchange| {
            exchange.member("authorization_response_iss_parameter_supported") == Some(true.into())
                && exchange.member("code_challenge_methods_supported").is_some()
        },
    },
    Chapter {
        title: "It registers, because the two have never met",
        why: "The authorization server gives the client an identifier. It is a program on the user's own \
              machine (\"native\"), so it gets no secret that it could not keep.",
        is_it: |exchange| post(exchange, "/register"),
        holds: |exchange| {
            exchange.status == StatusCode::CREATED && exchange.member("client_id").is_some()
        },
    },
    Chapter {
        title: "The user's browser opens the consent page",
        why: "The client asks for one permission, for one MCP server (resource), and shows the fingerprint \
              of a secret that it keeps to itself (code_challenge).",
        is_it: |exchange| get(exchange, "/authorize"),
        holds: |exchange| asks_for(exchange, "files:read"),
    },
    Chapter {
        title: "The user agrees, and the browser is sent back with a code",
        why: "Before the client reads the code it compares state (is this my login?) and iss (is this \
              the server I asked?), byte for byte. Only then does it go on.",
        is_it: |exchange| post(exchange, "/authorize/consent"),
        holds: comes_back,
    },
    Chapter {
        title: "The client exchanges the code for a token",
        why: "It shows the secret behind the fingerprint (code_verifier), so a stolen code is worth nothing. \
              The token is good for this MCP server only.",
        is_it: |exchange| post(exchange, "/token"),
        holds: |exchange| gives(exchange, "files:read"),
    },
    Chapter {
        title: "list-files works",
        why: "The tool needs files:read, and the token grants it.",
        is_it: |exchange| calls(exchange, "list-files"),
        holds: |exchange| exchange.status == StatusCode::OK,
    },
    Chapter {
        title: "write-file is refused",
        why: "The token is good, but the tool needs more. The refusal names everything the tool needs, \
              at once.",
        is_it: |exchange| calls(exchange, "write-file"),
        holds: |exchange| {
            let challenge = exchange.header(WWW_AUTHENTICATE);
            exchange.status == StatusCode::FORBIDDEN
                && challenge.contains("error=\"insufficient_scope\"")
                && challenge.contains("scope=\"files:read files:write\"")
        },
    },
    Chapter {
        title: "The client asks the user again, for the old and the new permission together",
        why: "A refresh could not widen the grant, and asking for the new permission alone would lose the \
              old one.",
        is_it: |exchange| get(exchange, "/authorize"),
        holds: |exchange| asks_for(exchange, "files:read files:write"),
    },
    Chapter {
        title: "The user agrees again",
        why: "The same checks as before: state and iss.",
        is_it: |exchange| post(exchange, "/authorize/consent"),
        holds: comes_back,
    },
    Chapter {
        title: "A new token, for both",
        why: "Everything else stays: the client did not register again and looked nothing up again.",
        is_it: |exchange| post(exchange, "/token"),
        holds: |exchange| gives(exchange, "files:read files:write"),
    },
    Chapter {
        title: "write-file works",
        why: "The same call as before, sent again by the client itself. The program that called the tool \
              noticed nothing.",
        is_it: |exchange| calls(exchange, "write-file"),
        holds: |exchange| exchange.status == StatusCode::OK,
    },
];

/// Checks and prints the exchanges until the run is over.
///
/// # Errors
///
/// When an expected exchange is missing or fails its check; the first one is named.
pub(crate) async fn tell(
    mut wire: UnboundedReceiver<Exchange>,
    mut over: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let mut chapters = CHAPTERS.iter().enumerate();
    let mut next = chapters.next();
    loop {
        let exchange = tokio::select! {
            biased;
            exchange = wire.recv() => exchange,
            _ = &mut over => None,
        };
        let Some(exchange) = exchange else { break };
        let Some((number, chapter)) = next else {
            aside(&exchange);
            continue;
        };
        if !(chapter.is_it)(&exchange) {
            aside(&exchange);
            continue;
        }
        println!("\n{:>2}. {}", number + 1, chapter.title);
        for line in exchange.lines() {
            println!("    {line}");
        }
        if !(chapter.holds)(&exchange) {
            anyhow::bail!("step {} did not go as it should: {}", number + 1, chapter.title);
        }
        for line in wrapped(chapter.why) {
            println!("    {line}");
        }
        next = chapters.next();
    }
    match next {
        None => Ok(()),
        Some((number, chapter)) => {
            anyhow::bail!("step {} did not happen: {}", number + 1, chapter.title)
        }
    }
}

/// Prints an exchange that every MCP client has and that is not a chapter.
fn aside(exchange: &Exchange) {
    let what = if exchange.path == "/mcp" { exchange.operation() } else { exchange.path.clone() };
    println!("\n    ({} {what}: {})", exchange.method, exchange.status);
}

/// Breaks a paragraph into lines of at most 90 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut()
            && line.len() + word.len() < 90
        {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
