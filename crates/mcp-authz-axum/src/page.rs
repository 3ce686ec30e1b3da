//! Consent page: the built-in template (no script, no external resources), and the data for a host's own.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use authorization_server::{NeedsConsent, STYLE};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use oauth_types::{EndpointUrl, ResourceUri, Secret};

use crate::login::User;

/// Data of a consent page and of its form.
///
/// See [`AuthorizationServer::with_consent_page`](crate::AuthorizationServer::with_consent_page).
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
    /// Returns the name of the logged-in user; `None` before the login at [`upstream`](Self::upstream).
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.user.map(|user| &*user.name)
    }

    /// Returns the URL of the login that follows consent: [`Login::upstream`](crate::Login::upstream).
    #[must_use]
    pub const fn upstream(&self) -> Option<&EndpointUrl> {
        self.upstream
    }

    /// Returns the name that the client gave itself, if any.
    ///
    /// It can contain any text in any direction: keep it out of sentences, and isolate it (`bdi`).
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.request.client_name()
    }

    /// Returns the host that publishes the client's metadata document, if any.
    ///
    /// Show it beside the name, because the name proves nothing.
    #[must_use]
    pub fn client_host(&self) -> Option<&str> {
        self.request.client_host()
    }

    /// Returns the host of the redirect URI, or the scheme of an installed application. Always show it.
    #[must_use]
    pub fn redirect_host(&self) -> &str {
        self.request.redirect_uri().display_host()
    }

    /// Returns `true` if any program on the user's machine may use this client's name: warn of it.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.request.is_native()
    }

    /// Returns the resource for which access is requested (RFC 8707).
    #[must_use]
    pub const fn resource(&self) -> &ResourceUri {
        self.request.resource()
    }

    /// Returns each requested scope with its description for the user.
    ///
    /// [`describe`](crate::AuthorizationServer::describe) sets the descriptions; a scope without one stands for
    /// itself.
    pub fn scopes(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.scope_texts;
        let text = move |scope| texts.get(scope).map_or(scope, String::as_str);
        self.request.scopes().iter().map(move |scope| (scope, text(scope)))
    }

    /// Returns the URL to which the form is posted.
    #[must_use]
    pub const fn form_action(&self) -> &str {
        self.form_action
    }

    /// Returns the form field `transaction`, which identifies the page that is answered.
    #[must_use]
    pub fn transaction(&self) -> &str {
        self.transaction.expose()
    }

    /// Returns the `nonce` of `style` elements (Content Security Policy). Scripts have none.
    #[must_use]
    pub fn nonce(&self) -> &str {
        self.nonce.expose()
    }
}

/// Function that renders the consent page.
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

/// Renders the built-in consent page. Text of the client stands outside of the page's own sentences.
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
