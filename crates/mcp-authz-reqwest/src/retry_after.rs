//! Delay that a server asks for: `Retry-After` (RFC 9110 §10.2.3).

use core::time::Duration;
use std::time::UNIX_EPOCH;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};
use oauth_types::UnixTime;

/// Returns the wait that a response asks for, in seconds or until a date.
///
/// A date is compared with the `Date` of the same response, because clocks differ, or with `now` if there is none. A
/// past date means no wait. The caller limits the wait.
pub(crate) fn retry_after(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit a number mean the longest wait.
        return (!text.is_empty()).then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(date(headers, RETRY_AFTER)?.saturating_duration_since(date(headers, DATE).unwrap_or(now)))
}

/// Parses a header with a date, in any of the three forms of RFC 9110 §5.6.7.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<UnixTime> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()?;
    Some(UnixTime::from_secs(date.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(retry_after_: &'static str, date: Option<&'static str>, now: u64) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after_));
        headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
        retry_after(&headers, UnixTime::from_secs(now)).map(|wait| wait.as_secs())
    }

    /// SEC-243
    #[test]
    fn seconds_are_read_whatever_their_number() {
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(read(text, None, 0), seconds, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), UnixTime::from_secs(0)), None);
    }

    /// SEC-243
    #[test]
    fn a_date_is_a_wait_from_the_date_of_the_response_or_from_now() {
        // 784111777 in each form of RFC 9110 §5.6.7.
        for until in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(read(until, None, 784_111_777 - 120), Some(120), "{until}");
            // The local clock is a year ahead.
            let sent = Some("Sun, 06 Nov 1994 08:49:07 GMT");
            assert_eq!(read(until, sent, 784_111_777 + 31_536_000), Some(30), "{until}");
            assert_eq!(read(until, Some("yesterday"), 784_111_777 - 1), Some(1));
            assert_eq!(read(until, None, 784_111_777 + 1), Some(0), "in the past");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37", None, 0), None);
        assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT", None, u64::MAX), Some(0));
    }
}
