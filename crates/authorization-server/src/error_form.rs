//! Content negotiation for errors of the authorization endpoint: page or JSON (RFC 9110 §12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// Format of an error that the authorization endpoint answers without a redirect.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum ErrorForm {
    /// A page for the user.
    #[default]
    Page,
    /// JSON as at the token endpoint (RFC 6749 §5.2), with the same status.
    Json,
}

impl ErrorForm {
    /// Returns the format that a request accepts: JSON only if it is preferred to HTML.
    ///
    /// `Accept` must name `application/json` with a higher weight than `text/html`, which no browser does for a page.
    /// Some clients request JSON before they open a browser, to notice that the server has forgotten them.
    #[must_use]
    pub fn accepted(headers: &HeaderMap) -> Self {
        let weight = |name| {
            let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
            let ranges = lines.flat_map(|line| line.split(','));
            ranges.filter_map(|range| quality(range, name)).fold(0.0, f32::max)
        };
        if weight("application/json") > weight("text/html") { Self::Json } else { Self::Page }
    }
}

/// Returns the weight of a media range (RFC 9110 §12.5.1), if it is exactly this type.
fn quality(range: &str, name: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    parts.next().filter(|own| own.eq_ignore_ascii_case(name))?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    weight.map_or(Some(1.0), |weight| weight.parse().ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_for_programs_that_prefer_it_to_pages() {
        use ErrorForm::{Json, Page};
        for (accept, form) in [
            ("application/json", Json),
            ("Application/JSON;q=0.5", Json),
            ("application/json, text/plain, */*", Json),
            ("text/html;q=0.5, application/json", Json),
            ("", Page),
            ("*/*", Page),
            ("text/html", Page),
            ("application/json, text/html", Page),
            ("application/json;q=0", Page),
            ("application/json;q=x", Page),
            ("application/json;q=nan", Page),
            ("application/jsonp", Page),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Page),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(ErrorForm::accepted(&headers), form, "{accept}");
        }
        assert_eq!(ErrorForm::accepted(&HeaderMap::new()), Page);
    }
}
