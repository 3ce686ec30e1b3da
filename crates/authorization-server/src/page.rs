//! HTML pages of the authorization endpoint: the style sheet, the security headers, and plain pages.
//!
//! A plain page holds a text, and at most one link or button.

use core::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use oauth_types::Secret;
use sha2::{Digest as _, Sha256};

/// Style sheet of every page of the authorization endpoint.
///
/// Loads no font, image or script, and adapts to small screens and to dark mode. A page has one `main` with an `h1`.
/// Facts are a `dl`; answers are the buttons of a `form`, and the expected one has the class `allow`.
pub const STYLE: &str = "\
:root { color-scheme: light dark; --ground: #f3f4f6; --sheet: #fff; --ink: #1b1f24; --soft: #57606a;
  --line: #d3d8de; --accent: #1a56c4; --on-accent: #fff; --note: #fff6e0; --note-line: #b36b00; }
@media (prefers-color-scheme: dark) { :root { --ground: #121417; --sheet: #1c2024; --ink: #e8eaed;
  --soft: #a9b1ba; --line: #3b4249; --accent: #8ab4f8; --on-accent: #0d2140; --note: #332a14;
  --note-line: #e0a33a; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 8vh 1rem 2rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 29rem; margin: 0 auto; padding: 1.75rem; background: var(--sheet);
  border: 1px solid var(--line); border-radius: .75rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }
p { margin: 0 0 1rem; }
p:last-child { margin: 0; }
dl { margin: 1.25rem 0; border-top: 1px solid var(--line); }
dl div { padding: .7rem 0; border-bottom: 1px solid var(--line); }
dt { font-size: .875rem; color: var(--soft); }
dd { margin: 0; font-weight: 600; overflow: clip; }
dd small { display: block; font-size: .875rem; font-weight: 400; color: var(--soft); }
ul { margin: 0; padding-left: 1.2rem; }
a { color: var(--accent); }
.note { margin: 1.25rem 0; padding: .75rem 1rem; background: var(--note);
  border-left: .25rem solid var(--note-line); border-radius: .25rem; }
form { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
label { flex: 1 1 100%; }
input { display: block; width: 100%; font: inherit; padding: .6rem .75rem; color: inherit;
  background: var(--sheet); border: 1px solid var(--soft); border-radius: .5rem; }
button { flex: 1 1 8rem; min-height: 2.9rem; font: inherit; font-weight: 600; cursor: pointer;
  color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: .5rem; }
button.allow { color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
:focus-visible { outline: .2rem solid var(--accent); outline-offset: .15rem; }
@media (max-width: 32rem) { body { padding: 0; background: var(--sheet); }
  main { padding: 1.5rem 1.25rem; border: 0; } }
";

/// Link or button below the text of a plain page.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    Nothing,
    /// Address of a link, and its label.
    Link(String, String),
    /// Button that posts this answer to a consent page again, to the address of the page itself.
    Answer(Secret, bool),
}

/// Returns a page with one text, and perhaps a link or button.
pub(crate) fn plain(status: StatusCode, title: &str, text: &str, next: &Next) -> Response<Bytes> {
    page(status, title, text, &next.to_string(), "", matches!(next, Next::Answer(..)))
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Link(url, label) => f.write_str(&link(url, label)),
            Self::Answer(transaction, allows) => write!(
                f,
                "<form method=\"post\"><input type=\"hidden\" name=\"transaction\" value=\"{}\">\
                 <button class=\"allow\" name=\"decision\" value=\"{}\">Try again</button></form>",
                Escaped(transaction.expose()),
                if *allows { "allow" } else { "deny" },
            ),
        }
    }
}

fn link(url: &str, label: &str) -> String {
    let (url, label) = (Escaped(url), Escaped(label));
    format!("<p><a rel=\"noreferrer\" href=\"{url}\">{label}</a></p>")
}

/// Returns a page that opens an installed application and stays open.
///
/// A bare redirect to a private-use scheme would leave the browser at the previous page, as if nothing had happened.
/// The page needs no script, because a `meta` refresh opens the application.
pub(crate) fn handed_over(url: &str, scheme: &str) -> Response<Bytes> {
    let text = "Your answer was handed to the application. You can close this window. If the application did not open, \
                use the link.";
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0;url={}\">", Escaped(url));
    let link = link(url, &format!("Open {scheme}"));
    page(StatusCode::OK, "You can close this window", text, &link, &refresh, false)
}

fn page(
    status: StatusCode,
    title: &str,
    text: &str,
    next: &str,
    head: &str,
    has_form: bool,
) -> Response<Bytes> {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{head}\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{text}</p>\
         {next}</main></body></html>",
        title = Escaped(title),
        text = Escaped(text),
    );
    let mut response = Response::new(page.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let style = STANDARD.encode(Sha256::digest(STYLE));
    // An answer may be redirected on to any client, and `form-action` holds for redirects too.
    let action = if has_form { "" } else { "form-action 'none'; " };
    page_headers(
        headers,
        &format!(
            "default-src 'none'; style-src 'sha256-{style}'; {action}base-uri 'none'; frame-ancestors 'none'"
        ),
    );
    response
}

/// Sets the headers of every page of the authorization endpoint: no framing, no caching, no `Referer`.
pub(crate) fn page_headers(headers: &mut HeaderMap, policy: &str) {
    // A-AUTHZ-10
    let strict = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    let policy = HeaderValue::from_str(policy).unwrap_or(strict);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Text that is escaped for HTML and for attributes in double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A-AUTHZ-10, SEC-116
    #[test]
    fn what_a_plain_page_says_stays_text() {
        let hostile = "\"><img src=x onerror='y'>&amp;";
        let next = Next::Link(hostile.to_owned(), hostile.to_owned());
        let page = plain(StatusCode::OK, hostile, hostile, &next);
        let html = str::from_utf8(page.body()).unwrap();
        assert!(!html.contains("<img") && !html.contains("='y'"), "{html}");
        assert_eq!(
            html.matches("&quot;&gt;&lt;img src=x onerror=&#39;y&#39;&gt;&amp;amp;").count(),
            5
        );
        let next = Next::Answer(Secret::new(hostile), true);
        let page = plain(StatusCode::OK, hostile, hostile, &next);
        let html = str::from_utf8(page.body()).unwrap();
        assert!(!html.contains("<img") && !html.contains("='y'"), "{html}");
        let page = handed_over(hostile, hostile);
        let html = str::from_utf8(page.body()).unwrap();
        assert!(!html.contains("<img") && !html.contains("='y'"), "{html}");
        assert!(html.contains("content=\"0;url=&quot;&gt;&lt;img"), "{html}");
    }
}
