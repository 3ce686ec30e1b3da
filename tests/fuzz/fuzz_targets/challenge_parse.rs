//! Whatever the strict parser `http-auth` reads, we read alike; everything else ends, without a panic.

#![no_main]

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use oauth_types::{BearerChallenge, Challenges, MalformedChallenge};

type Read = Vec<(String, Vec<(String, String)>)>;

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let values = lines.filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (WWW_AUTHENTICATE, value)).collect()
}

fn strict(line: &str) -> Option<Read> {
    let challenges = http_auth::parse_challenges(line).ok()?;
    let read = |challenge: &http_auth::ChallengeRef<'_>| {
        let params = challenge.params.iter();
        let params = params.map(|(name, value)| ((*name).to_owned(), value.to_unescaped()));
        (challenge.scheme.to_owned(), params.collect())
    };
    Some(challenges.iter().map(read).collect())
}

fn ours(headers: &HeaderMap) -> Result<Read, MalformedChallenge> {
    let read = |challenge: oauth_types::Challenge<'_>| {
        let param = |(name, value): (&str, oauth_types::ParamValue<'_>)| {
            (name.to_owned(), value.to_text().unwrap_or_default().into_owned())
        };
        let params = challenge.params().map(param);
        (challenge.scheme().to_owned(), params.collect())
    };
    Challenges::new(headers).map(|challenge| challenge.map(read)).collect()
}

fuzz_target!(|input: &[u8]| {
    let all = headers(input.split(|byte| *byte == b'\n'));
    let bytes: usize = all.values().map(HeaderValue::len).sum();
    assert!(Challenges::new(&all).count() <= bytes);
    let _ = BearerChallenge::from_headers(&all);
    for line in input.split(|byte| *byte == b'\n') {
        let one = headers([line].into_iter());
        if let Ok(text) = str::from_utf8(line)
            && !one.is_empty()
            && let Some(strict) = strict(text)
        {
            assert_eq!(ours(&one), Ok(strict), "{text}");
        }
    }
});
