//! Our challenge parser against `http-auth`, which is strict: whatever it reads, we read alike. What we read
//! beyond it is listed on [`Challenges`].

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use oauth_types::Challenges;
use proptest::prelude::*;

type Read = Vec<(String, Vec<(String, String)>)>;

/// What the strict parser makes of a line; `None` where it refuses any part of it.
fn strict(line: &str) -> Option<Read> {
    let challenges = http_auth::parse_challenges(line).ok()?;
    let params = |challenge: &http_auth::ChallengeRef<'_>| {
        let param = |(name, value): &(&str, http_auth::ParamValue<'_>)| {
            ((*name).to_owned(), value.to_unescaped())
        };
        (challenge.scheme.to_owned(), challenge.params.iter().map(param).collect())
    };
    Some(challenges.iter().map(params).collect())
}

/// What we make of it; `None` where we report a malformed challenge.
fn ours(line: &str) -> Option<Read> {
    let value = HeaderValue::from_str(line).ok()?;
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
    Challenges::new(&headers)
        .map(|challenge| {
            let challenge = challenge.ok()?;
            let param = |(name, value): (&str, oauth_types::ParamValue<'_>)| {
                Some((name.to_owned(), value.to_text()?.into_owned()))
            };
            let params = challenge.params().map(param).collect::<Option<_>>()?;
            Some((challenge.scheme().to_owned(), params))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// C-DISC-3
    #[test]
    fn well_formed_lines_read_alike(
        challenges in prop::collection::vec(
            ("[A-Za-z]{1,6}", prop::collection::vec(("[a-z_]{1,5}", "[ -~]{0,9}", any::<bool>()), 1..4)),
            1..4,
        ),
        space in "[ ]{1,2}",
        comma in " ?, ?",
    ) {
        let mut line = String::new();
        for (scheme, params) in &challenges {
            if !line.is_empty() {
                line.push_str(&comma);
            }
            line.push_str(scheme);
            line.push_str(&space);
            for (at, (name, value, quoted)) in params.iter().enumerate() {
                if at > 0 {
                    line.push_str(&comma);
                }
                let is_token = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric());
                if *quoted || !is_token {
                    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                    line.push_str(&format!("{name}=\"{escaped}\""));
                } else {
                    line.push_str(&format!("{name}={value}"));
                }
            }
        }
        let expected: Read = challenges
            .iter()
            .map(|(scheme, params)| {
                let param = |(name, value, _): &(String, String, bool)| (name.clone(), value.clone());
                (scheme.clone(), params.iter().map(param).collect())
            })
            .collect();
        prop_assert_eq!(ours(&line), Some(expected.clone()), "{}", line);
        // It takes one space after a scheme where the grammar has one or more.
        if space.len() == 1 {
            prop_assert_eq!(strict(&line), Some(expected), "{}", line);
        }
    }

    /// C-DISC-3
    #[test]
    fn whatever_the_strict_parser_reads_we_read_alike(line in "[ \t,=\"\\\\aB1;:]{0,24}") {
        if let Some(read) = strict(&line) {
            prop_assert_eq!(ours(&line), Some(read), "{}", line);
        }
    }
}
