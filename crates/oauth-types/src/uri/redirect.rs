//! Redirect URIs (RFC 6749 §3.1.2, OAuth 2.1 §2.3.1, RFC 8252 §7).

use crate::FormPairs;
use crate::uri::{InvalidUri, host_and_port, is_loopback_host, parts, text_identifier};

/// Parameters of the authorization response; a registered redirect URI has none of them, so that a
/// response never carries two (RFC 9207 §2, RFC 6749 §4.1.2).
const RESERVED: [&str; 6] = ["iss", "code", "state", "error", "error_description", "error_uri"];

/// A redirect URI that may be registered (RFC 6749 §3.1.2, RFC 8252 §7): https, http on a loopback host, or a private-use scheme
/// with a dot in it (`com.example.app:/cb`); no fragment, no userinfo, no reserved parameter.
///
/// Compared byte for byte, except for the port of a loopback redirect: see
/// [`admits`](Self::admits).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RedirectUri(Box<str>);

text_identifier!(RedirectUri);

impl RedirectUri {
    /// Reads a redirect URI for registration.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the rule broken.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        // A-REG-1
        let uri = parts(text)?;
        if uri.has_fragment() {
            return Err(InvalidUri::Fragment);
        }
        match uri.scheme().as_str() {
            "https" => drop(host_and_port(&uri)?),
            "http" if is_loopback_host(host_and_port(&uri)?.host()) => {}
            "http" => return Err(InvalidUri::PlainHttp),
            // RFC 8252 §7.1: a domain name in reverse, which no script or file scheme is.
            private if private.contains('.') => {
                if uri.authority().is_some_and(|authority| authority.has_userinfo()) {
                    return Err(InvalidUri::Userinfo);
                }
            }
            _ => return Err(InvalidUri::Scheme),
        }
        let query = uri.query().map_or("", |query| query.as_str());
        let form = FormPairs::parse(query.as_bytes()).map_err(|_| InvalidUri::Query)?;
        if RESERVED.iter().any(|name| form.contains(name)) {
            return Err(InvalidUri::ReservedParameter);
        }
        Ok(Self(text.into()))
    }

    /// Whether this registered URI admits `requested`: the same bytes or, for http on a loopback
    /// literal or `localhost`, the same bytes but for the port (RFC 8252 §7.3).
    #[must_use]
    pub fn admits(&self, requested: &str) -> bool {
        // A-AUTHZ-2
        if *self.0 == *requested {
            return true;
        }
        match (loopback_without_port(&self.0), loopback_without_port(requested)) {
            (Some(own), Some(other)) => own == other,
            _ => false,
        }
    }

    /// Whether a browser that follows it stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        loopback_without_port(&self.0).is_some()
    }

    /// Whether only an installed application can receive it: loopback or a private-use scheme.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.is_loopback() || self.is_private_use()
    }

    /// Whether its scheme belongs to an application (RFC 8252 §7.1), or to another that claims it.
    #[must_use]
    pub fn is_private_use(&self) -> bool {
        !(self.0.starts_with("https:") || self.0.starts_with("http:"))
    }

    /// The host that a person should be shown; the scheme of a private-use URI, whose host names nobody.
    #[must_use]
    pub fn display_host(&self) -> &str {
        match parts(&self.0) {
            Ok(uri) => match uri.authority() {
                Some(authority) if matches!(uri.scheme().as_str(), "https" | "http") => {
                    authority.host()
                }
                _ => uri.scheme().as_str(),
            },
            Err(_) => "",
        }
    }
}

/// What stands before and after the port of an http loopback URI; `None` for every other URI.
fn loopback_without_port(text: &str) -> Option<(&str, &str)> {
    let uri = parts(text).ok()?;
    // Lower case only: a registered URI keeps its spelling, and nothing but the port may differ.
    if uri.scheme().as_str() != "http" || uri.has_fragment() {
        return None;
    }
    let authority = host_and_port(&uri).ok()?;
    if !is_loopback_host(authority.host()) {
        return None;
    }
    let before = "http://".len() + authority.host().len();
    let after = "http://".len() + authority.as_str().len();
    Some((text.get(..before)?, text.get(after..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(registered: &str, requested: &str) -> bool {
        RedirectUri::parse(registered).unwrap().admits(requested)
    }

    #[test]
    fn a_reg_1_sec_057_sec_058_sec_051_what_may_be_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example/cb?a=b%20c&blank=",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost/cb",
            "com.example.app:/cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for (bad, rule) in [
            ("javascript:alert(1)", InvalidUri::Scheme),
            ("data:text/html,x", InvalidUri::Scheme),
            ("vbscript:x", InvalidUri::Scheme),
            ("file:///etc/passwd", InvalidUri::Scheme),
            ("blob:x", InvalidUri::Scheme),
            ("about:blank", InvalidUri::Scheme),
            (" javascript:alert(1)", InvalidUri::Syntax),
            ("java%0ascript:alert(1)", InvalidUri::Syntax),
            ("http://app.example/cb", InvalidUri::PlainHttp),
            ("https://app.example/cb#", InvalidUri::Fragment),
            ("https://u:p@app.example/cb", InvalidUri::Userinfo),
            ("https:///cb", InvalidUri::NoHost),
        ] {
            assert_eq!(RedirectUri::parse(bad), Err(rule), "{bad}");
        }
    }

    #[test]
    fn sec_015_reserved_parameters_are_refused_in_any_spelling() {
        for name in ["iss", "code", "state", "error", "error_description", "error_uri", "%69ss"] {
            let uri = format!("https://app.example/cb?x=1&{name}=y");
            assert_eq!(RedirectUri::parse(&uri), Err(InvalidUri::ReservedParameter), "{name}");
        }
    }

    #[test]
    fn a_authz_2_sec_052_sec_053_sec_054_the_port_of_a_loopback_redirect_is_free() {
        assert!(admits("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"));
        assert!(admits("http://[::1]/cb", "http://[::1]:51004/cb"));
        assert!(admits("http://localhost:3118/cb", "http://localhost:53428/cb"));
        assert!(!admits("http://[::1]/cb", "http://[0:0:0:0:0:0:0:1]:1/cb"));
        for host in ["LOCALHOST", "localhost.", "localhost.evil.test"] {
            assert!(!admits("http://localhost/cb", &format!("http://{host}:1/cb")), "{host}");
        }
    }

    #[test]
    fn a_authz_2_sec_046_sec_047_sec_048_sec_049_sec_050_all_else_is_string_equality() {
        let registered = "https://app.example/cb";
        assert!(admits(registered, registered));
        for requested in [
            "https://app.example/cb2",
            "https://app.example/cb/",
            "https://app.example/c",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example/cb?x=1",
            "https://app.example/x/../cb",
            "https://app.example/cb/%2e%2e/cb",
            "https://app.example//cb",
            "https://app.example@evil.example/cb",
            "https://evil.example\\@app.example/cb",
            "https://app.example.evil.example/cb",
            "https://app.example/cb#",
            "https%3A%2F%2Fapp.example%2Fcb",
        ] {
            assert!(!admits(registered, requested), "{requested}");
        }
    }

    #[test]
    fn sec_059_a_wildcard_is_a_character_and_never_a_pattern() {
        let registered = "https://*.app.example/cb?x=.*";
        assert!(admits(registered, registered));
        for requested in [
            "https://evil.app.example/cb?x=.*",
            "https://*.app.example/cb?x=evil",
            "https://.app.example/cb?x=.*",
            "https://app.example/cb",
        ] {
            assert!(!admits(registered, requested), "{requested}");
        }
        assert_eq!(RedirectUri::parse("https://[*]/cb"), Err(InvalidUri::Syntax));
    }

    #[test]
    fn sec_066_hosts_are_ascii_and_labels_are_never_decoded() {
        let cyrillic = "https://\u{430}pp.example/cb";
        assert_eq!(RedirectUri::parse(cyrillic), Err(InvalidUri::Syntax));
        assert!(!admits("https://app.example/cb", cyrillic));
        // A label that a lax decoder turns into `app`, and the one that it stands for.
        for look_alike in ["https://xn--app-.example/cb", "https://xn--pp-6kc.example/cb"] {
            assert!(!admits("https://app.example/cb", look_alike), "{look_alike}");
        }
        let shown = RedirectUri::parse("https://xn--pp-6kc.example/cb").unwrap();
        assert_eq!(shown.display_host(), "xn--pp-6kc.example");
        assert!(RedirectUri::parse("https://%D0%B0pp.example/cb").is_err());
        let private = RedirectUri::parse("com.evil.app://accounts.example/cb").unwrap();
        assert_eq!(private.display_host(), "com.evil.app");
    }

    #[test]
    fn sec_055_sec_056_only_the_port_floats() {
        let registered = "http://127.0.0.1/cb";
        for requested in [
            "http://localhost/cb",
            "http://127.0.0.2/cb",
            "http://127.1/cb",
            "http://0x7f000001/cb",
            "http://127.000.000.001/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://u:p@127.0.0.1/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1:1/other",
            "http://127.0.0.1:1/cb?x=1",
            "http://127.0.0.1:1/cb#f",
            "https://127.0.0.1:1/cb",
            "http://127.0.0.1:99999/cb",
            "HTTP://127.0.0.1:1/cb",
        ] {
            assert!(!admits(registered, requested), "{requested}");
        }
    }
}
