//! The consent page: no script, nothing from elsewhere, readable on a phone and in the dark. Or one of the host's own.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use authorization_server::{NeedsConsent, STYLE};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use oauth_types::{EndpointUrl, ResourceUri, Secret};

use crate::login::User;

/// What a consent page shows, and what its form sends: see
/// [`AuthorizationServer::with_consent_page`](crate::AuthorizationServer::with_consent_page).
///
/// Nothing here is HTML: escape all of it. The form is a POST to [`form_action`](Self::form_action) with
/// `transaction` and a `decision`, which is `allow` or anything else.
#[derive(Debug)]
pub struct ConsentPage<'a> {
    pub(crate) request: &'a NeedsConsent<'a>,
    pub(crate) user: Option<&'a User>,
    pub(crate) upstream: Option<&'a EndpointUrl>,
    pub(crate) scope_texts: &'a BTreeMap<String, String>,
    pub(crate) form_action: &'a str,
    pub(crate) transaction: &'a Secret,
    pub(crate) nonce: &'a Secret,
}

impl ConsentPage<'_> {
    /// The name of the user who is logged in; `None` before the login at [`upstream`](Self::upstream).
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.user.map(|user| &*user.name)
    }

    /// Where the user logs in after the answer: [`Login::upstream`](crate::Login::upstream).
    #[must_use]
    pub const fn upstream(&self) -> Option<&EndpointUrl> {
        self.upstream
    }

    /// The name that the client gave itself, if it did. It can say anything and read in any direction: keep it out
    /// of sentences, and isolate it (`bdi`).
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.request.client_name()
    }

    /// The host that publishes what the client says about itself, if one does. Show it beside the name: the name
    /// proves nothing.
    #[must_use]
    pub fn client_host(&self) -> Option<&str> {
        self.request.client_host()
    }

    /// The host that the browser is sent back to, or the scheme of an installed application. Show it in any case.
    #[must_use]
    pub fn redirect_host(&self) -> &str {
        self.request.redirect_uri().display_host()
    }

    /// Whether any program on the user's machine may have asked under this name: warn of it.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.request.is_native()
    }

    /// What access is asked to.
    #[must_use]
    pub const fn resource(&self) -> &ResourceUri {
        self.request.resource()
    }

    /// What is asked for: each scope, and what it allows in words, as
    /// [`describe`](crate::AuthorizationServer::describe) has them.
    pub fn scopes(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.scope_texts;
        let text = move |scope| texts.get(scope).map_or(scope, String::as_str);
        self.request.scopes().iter().map(move |scope| (scope, text(scope)))
    }

    /// Where the form is posted to.
    #[must_use]
    pub const fn form_action(&self) -> &str {
        self.form_action
    }

    /// The form's field `transaction`: which page it answers.
    #[must_use]
    pub fn transaction(&self) -> &str {
        self.transaction.expose()
    }

    /// The `nonce` that a `style` element needs. There is none for scripts.
    #[must_use]
    pub fn nonce(&self) -> &str {
        self.nonce.expose()
    }
}

/// How the page is written.
#[derive(Clone)]
pub(crate) struct Template(Arc<dyn Fn(&ConsentPage<'_>) -> String + Send + Sync>);

impl Template {
    pub(crate) fn new(write: impl Fn(&ConsentPage<'_>) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(crate) fn write(&self, page: &ConsentPage<'_>) -> String {
        (self.0)(page)
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::new(|page| consent(page).into_string())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}

/// Shows who asks for what, and asks back. No word of the client's stands in a sentence of ours.
#[expect(clippy::too_many_lines, reason = "a template: the whole page, in its order")]
fn consent(page: &ConsentPage<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Allow access?" }
                style nonce=(page.nonce()) { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Allow access?" }
                    p {
                        "An application asks to act for you. "
                        @if let Some(name) = page.user_name() {
                            "You are logged in as " strong { bdi { (name) } } "."
                        } @else if let Some(url) = page.upstream() {
                            "If you allow it, you log in at " strong { (url.origin().host()) } " next."
                        }
                    }
                    dl {
                        div {
                            dt { "It calls itself" }
                            dd {
                                @if let Some(name) = page.client_name() { bdi { (name) } }
                                @else { small { "it gave no name" } }
                            }
                        }
                        @if let Some(host) = page.client_host() {
                            div {
                                dt { "It is published by" }
                                dd { (host) }
                            }
                        }
                        div {
                            dt { "You will be sent back to" }
                            dd {
                                (page.redirect_host())
                                @if page.is_native() { small { "a program on your own computer" } }
                            }
                        }
                        div {
                            dt { "It asks for access to" }
                            dd { (page.resource()) }
                        }
                        div {
                            dt { "It will be able to" }
                            dd { ul { @for (_, text) in page.scopes() { li { (text) } } } }
                        }
                    }
                    @if page.is_native() {
                        p.note {
                            "Any program on your own computer can ask under this name. Allow access only if you \
                             started this login yourself, just now."
                        }
                    }
                    form method="post" action=(page.form_action()) {
                        input type="hidden" name="transaction" value=(page.transaction());
                        button type="submit" name="decision" value="deny" { "Deny" }
                        button.allow type="submit" name="decision" value="allow" { "Allow" }
                    }
                }
            }
        }
    }
}
