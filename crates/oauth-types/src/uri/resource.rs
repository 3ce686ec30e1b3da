//! The resource identifier of an MCP server (RFC 8707 §2, RFC 9728 §1.2).

use crate::uri::{InvalidUri, WebUrl, has_dot_segment, text_identifier, text_order};

/// Resource identifier of a protected resource (RFC 8707 §2, RFC 9728 §1.2).
///
/// The scheme is https (http on a loopback host); there is no fragment, no userinfo and no dot segment.
///
/// The published bytes are kept, because peers compare them. [`covers`](Self::covers) is the one rule by which
/// resources match.
///
/// # Examples
///
/// ```
/// use oauth_types::ResourceUri;
///
/// let published: ResourceUri = "https://mcp.example/mcp".parse()?;
/// assert!(published.covers(&ResourceUri::parse("https://mcp.example/mcp/files")?));
/// assert!(!published.covers(&ResourceUri::parse("https://mcp.example/admin")?));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[doc(alias = "resource indicator")]
#[doc(alias = "audience")]
#[derive(Clone, Debug)]
pub struct ResourceUri(WebUrl);

text_identifier!(ResourceUri);
text_order!(ResourceUri);

impl ResourceUri {
    /// Parses a resource identifier.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        // C-AUTHZ-4, A-AUTHZ-8
        let url = WebUrl::parse(text)?;
        if url.has_fragment() {
            return Err(InvalidUri::Fragment);
        }
        if has_dot_segment(url.path()) {
            return Err(InvalidUri::DotSegment);
        }
        Ok(Self(url.keep()))
    }

    /// Returns the canonical server URI of `url` (MCP authorization).
    ///
    /// Scheme and host are put in lower case; a default port and a fragment are dropped. Path and query stay as they
    /// are, and no slash is added.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] names the broken rule.
    pub fn canonical(url: &str) -> Result<Self, InvalidUri> {
        let url = WebUrl::parse(url)?;
        let mut text = url.origin().to_string();
        text.push_str(url.path());
        if let Some(query) = url.query() {
            text.push('?');
            text.push_str(query);
        }
        Self::parse(&text)
    }

    /// Returns `true` if this published resource covers `requested`.
    ///
    /// Both have the same origin; the query is absent here or the same; and the requested path is this one or below
    /// it. A final slash is ignored. Two resources that cover each other are [the same](Self::is_same).
    #[must_use]
    pub fn covers(&self, requested: &Self) -> bool {
        // C-DISC-4
        let (own, other) = (&self.0, &requested.0);
        let query_differs = own.query().is_some() && own.query() != other.query();
        if !own.has_origin_of(other) || query_differs {
            return false;
        }
        let path = own.path().strip_suffix('/').unwrap_or(own.path());
        match other.path().strip_prefix(path) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// Returns `true` if both spellings name one resource, because each covers the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use oauth_types::ResourceUri;
    ///
    /// let published = ResourceUri::parse("https://mcp.example/mcp")?;
    /// assert!(published.is_same(&ResourceUri::parse("https://MCP.example:443/mcp/")?));
    /// assert!(!published.is_same(&ResourceUri::parse("https://mcp.example/mcp/files")?));
    /// # Ok::<(), oauth_types::InvalidUri>(())
    /// ```
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.covers(other) && other.covers(self)
    }

    pub(crate) const fn as_web(&self) -> &WebUrl {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(published: &str, requested: &str) -> bool {
        match (ResourceUri::parse(published), ResourceUri::parse(requested)) {
            (Ok(published), Ok(requested)) => published.covers(&requested),
            _ => false,
        }
    }

    /// C-DISC-4, SEC-131
    #[test]
    fn a_resource_covers_itself_and_what_lies_below() {
        let published = "https://rs.example/mcp";
        for same in [
            "https://rs.example/mcp",
            "https://RS.example:443/mcp",
            "https://rs.example/mcp/",
            "https://rs.example/mcp/x",
            // Per-connection settings that a server reads from the query do not make another resource.
            "https://rs.example/mcp?project=1",
        ] {
            assert!(covers(published, same), "{same}");
        }
        for other in ["https://rs.example/mcp", "https://rs.example/mcp?x=2"] {
            assert!(!covers("https://rs.example/mcp?x=1", other), "{other}");
        }
        for other in [
            "https://rs.example/",
            "https://rs.example/mcp2",
            "https://rs.example/mcp%2fx",
            "https://rs.example/MCP",
            "https://rs.example/mcp/../admin",
            "https://rs.example/mcp/%2e%2e/admin",
            "https://rs.example/mcp/..%2fadmin",
            "https://rs.example/mcp/x%2F..%5C..%5cadmin",
            "https://rs.example/mcp/..;x=1/admin",
            "https://rs.example/mcp/%ff/..%2fadmin",
            "https://rs.example:8443/mcp",
            "https://other.example/mcp",
            "https://u:p@rs.example/mcp",
            "https://rs.example/mcp#f",
        ] {
            assert!(!covers(published, other), "{other}");
        }
    }

    /// C-AUTHZ-4
    #[test]
    fn the_canonical_form_invents_no_slash() {
        for (url, canonical) in [
            ("HTTPS://EXAMPLE.com", "https://example.com"),
            ("https://example.com:443/p/", "https://example.com/p/"),
            ("https://example.com:8443/p?q=1#f", "https://example.com:8443/p?q=1"),
        ] {
            assert_eq!(ResourceUri::canonical(url).unwrap().as_str(), canonical);
        }
    }
}
