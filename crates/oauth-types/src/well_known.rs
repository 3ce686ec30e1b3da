//! Well-known URLs of metadata (RFC 8414 §3, RFC 9728 §3, OpenID Connect Discovery §4).

use crate::uri::{EndpointUrl, InvalidUri, Issuer, ResourceUri, has_dot_segment};

/// Returns the URLs of an authorization server's metadata, in the order in which to try them.
///
/// They are path-inserted `oauth-authorization-server`, path-inserted `openid-configuration` and, for an issuer with a
/// path, path-appended `openid-configuration`.
///
/// # Errors
///
/// [`InvalidUri`] if the issuer has dot segments or letters beyond ASCII, or if a URL would exceed the length limit.
///
/// # Examples
///
/// ```
/// use oauth_types::{Issuer, authorization_server_urls};
///
/// let urls = authorization_server_urls(&Issuer::parse("https://as.example/tenant")?)?;
/// let first = "https://as.example/.well-known/oauth-authorization-server/tenant";
/// assert_eq!(urls.first().map(|url| url.as_str()), Some(first));
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
pub fn authorization_server_urls(issuer: &Issuer) -> Result<Vec<EndpointUrl>, InvalidUri> {
    server_places(issuer).map(all)
}

fn all((first, rest): (EndpointUrl, Vec<EndpointUrl>)) -> Vec<EndpointUrl> {
    let mut all = vec![first];
    all.extend(rest);
    all
}

/// The first of these URLs, and the others.
pub(crate) fn server_places(
    issuer: &Issuer,
) -> Result<(EndpointUrl, Vec<EndpointUrl>), InvalidUri> {
    // C-DISC-5, C-DISC-6
    let (origin, path) = (issuer.as_web().before_path(), issuer.as_web().path());
    // An HTTP library would resolve dot segments and request a page that an attacker may have chosen.
    if has_dot_segment(path) {
        return Err(InvalidUri::DotSegment);
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let at = |place: String| EndpointUrl::parse(&place);
    let first = at(format!("{origin}/.well-known/oauth-authorization-server{path}"))?;
    let mut rest = vec![at(format!("{origin}/.well-known/openid-configuration{path}"))?];
    if !path.is_empty() {
        rest.push(at(format!("{origin}{path}/.well-known/openid-configuration"))?);
    }
    Ok((first, rest))
}

/// Returns the URL of a protected resource's metadata (RFC 9728 §3.1).
///
/// The well-known path is inserted before the path of the resource; the query is kept.
///
/// # Errors
///
/// [`InvalidUri::TooLong`] if the URL would exceed the length limit.
///
/// # Examples
///
/// ```
/// use oauth_types::{ResourceUri, protected_resource_url};
///
/// let url = protected_resource_url(&ResourceUri::parse("https://mcp.example/v1/mcp")?)?;
/// assert_eq!(url.as_str(), "https://mcp.example/.well-known/oauth-protected-resource/v1/mcp");
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
pub fn protected_resource_url(resource: &ResourceUri) -> Result<EndpointUrl, InvalidUri> {
    let url = resource.as_web();
    let (origin, path) = (url.before_path(), if url.path() == "/" { "" } else { url.path() });
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    EndpointUrl::parse(&format!("{origin}/.well-known/oauth-protected-resource{path}{query}"))
}

/// Returns the fallback URL that clients try: the well-known path at the root of the resource's origin.
///
/// # Errors
///
/// [`InvalidUri::TooLong`] if the URL would exceed the length limit.
pub fn protected_resource_root_url(resource: &ResourceUri) -> Result<EndpointUrl, InvalidUri> {
    let origin = resource.as_web().before_path();
    EndpointUrl::parse(&format!("{origin}/.well-known/oauth-protected-resource"))
}

/// Returns the URLs at which a client looks for a protected resource's metadata, in order.
///
/// They are the URL of the challenge, that of the resource's path, and that at the root of its origin (MCP discovery;
/// RFC 9728 §3.1, §5.1).
///
/// # Errors
///
/// [`InvalidUri::TooLong`] if a URL would exceed the length limit.
///
/// # Examples
///
/// ```
/// use oauth_types::{ResourceUri, protected_resource_urls};
///
/// let resource = ResourceUri::parse("https://mcp.example/mcp")?;
/// let urls = protected_resource_urls(&resource, None)?;
/// let urls: Vec<_> = urls.iter().map(|url| url.as_str()).collect();
/// assert_eq!(
///     urls,
///     [
///         "https://mcp.example/.well-known/oauth-protected-resource/mcp",
///         "https://mcp.example/.well-known/oauth-protected-resource",
///     ],
/// );
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
pub fn protected_resource_urls(
    resource: &ResourceUri,
    challenged: Option<&EndpointUrl>,
) -> Result<Vec<EndpointUrl>, InvalidUri> {
    protected_resource_places(resource, challenged).map(all)
}

/// The first of these URLs, and the others.
pub(crate) fn protected_resource_places(
    resource: &ResourceUri,
    challenged: Option<&EndpointUrl>,
) -> Result<(EndpointUrl, Vec<EndpointUrl>), InvalidUri> {
    // C-DISC-1, C-DISC-2
    let (own, root) = (protected_resource_url(resource)?, protected_resource_root_url(resource)?);
    let (first, later) = match challenged {
        Some(challenged) => (challenged.clone(), vec![own, root]),
        None => (own, vec![root]),
    };
    let mut rest = Vec::new();
    for url in later {
        if url != first && !rest.contains(&url) {
            rest.push(url);
        }
    }
    Ok((first, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(issuer: &str) -> Vec<String> {
        let urls = authorization_server_urls(&Issuer::parse(issuer).unwrap()).unwrap();
        urls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_issuer_with_dot_segments_leads_nowhere() {
        for issuer in ["https://as.example/../../u/mallory", "https://as.example/%2e%2E/x"] {
            let issuer = Issuer::parse(issuer).unwrap();
            assert_eq!(authorization_server_urls(&issuer), Err(InvalidUri::DotSegment));
        }
    }

    /// C-DISC-5
    #[test]
    fn an_issuer_with_a_path_has_three_places() {
        let expected = [
            "https://as.example/.well-known/oauth-authorization-server/t1",
            "https://as.example/.well-known/openid-configuration/t1",
            "https://as.example/t1/.well-known/openid-configuration",
        ];
        assert_eq!(server("https://as.example/t1"), expected);
        assert_eq!(server("https://as.example/t1/"), expected);
    }

    /// C-DISC-6
    #[test]
    fn an_issuer_without_a_path_has_two() {
        let expected = [
            "https://as.example:8443/.well-known/oauth-authorization-server",
            "https://as.example:8443/.well-known/openid-configuration",
        ];
        assert_eq!(server("https://as.example:8443"), expected);
        assert_eq!(server("https://as.example:8443/"), expected);
    }

    /// C-DISC-2, R-PRM-1
    #[test]
    fn a_resource_inserts_its_path_and_keeps_its_query() {
        for (resource, url) in [
            ("https://rs.example", "https://rs.example/.well-known/oauth-protected-resource"),
            ("https://rs.example/", "https://rs.example/.well-known/oauth-protected-resource"),
            (
                "https://rs.example/mcp",
                "https://rs.example/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "https://rs.example/m/?k=v",
                "https://rs.example/.well-known/oauth-protected-resource/m/?k=v",
            ),
            (
                "https://rs.example?k=v",
                "https://rs.example/.well-known/oauth-protected-resource?k=v",
            ),
        ] {
            let resource = ResourceUri::parse(resource).unwrap();
            assert_eq!(protected_resource_url(&resource).unwrap().as_str(), url);
            let root = protected_resource_root_url(&resource).unwrap();
            assert_eq!(root.as_str(), "https://rs.example/.well-known/oauth-protected-resource");
        }
    }
}
