//! What is parsed and decided on every request, each beside the crate that a Rust user would pick.
//!
//! `cargo bench -p tests` runs all of it in one go; compare only figures of one run. What allocates how often is
//! counted, and held, by the test `allocations`.

#![expect(clippy::unwrap_used, reason = "the inputs are ours")]

use std::collections::HashSet;

use client_auth::{BasicCredentials, ClientAuthRecord, Presented};
use divan::{Bencher, black_box};
use headers::HeaderMapExt as _;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use oauth_types::{AuthMethod, BearerChallenge, Challenges, FormPairs, ScopeSet, Secret, UnixTime};
use rmcp::transport::auth::WWWAuthenticateParams;
use tests::samples::{BASIC, CHALLENGE, FORM, SCOPES, SECRET};

fn main() {
    // Many runs a sample: the timer's own time would count at tens of nanoseconds.
    divan::Divan::from_args().sample_size(500).main();
}

fn headers(name: http::HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

/// Read a challenge, and take three of its parameters.
#[divan::bench_group]
mod challenge {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let headers = headers(WWW_AUTHENTICATE, CHALLENGE);
        bencher.bench(|| {
            let challenge = Challenges::new(black_box(&headers)).next().unwrap().unwrap();
            let is_wanted = |name: &str| matches!(name, "error" | "scope" | "resource_metadata");
            let wanted = challenge.params().filter(|(name, _)| is_wanted(name));
            wanted.filter(|(_, value)| black_box(value.to_text()).is_some()).count()
        });
    }

    #[divan::bench]
    fn ours_typed(bencher: Bencher<'_, '_>) {
        let headers = headers(WWW_AUTHENTICATE, CHALLENGE);
        bencher.bench(|| BearerChallenge::from_headers(black_box(&headers)).unwrap());
    }

    #[divan::bench]
    fn http_auth(bencher: Bencher<'_, '_>) {
        bencher.bench(|| {
            let challenges = http_auth::parse_challenges(black_box(CHALLENGE)).unwrap();
            let has = |name: &str| {
                let params = &challenges.first().unwrap().params;
                black_box(params.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))).is_some()
            };
            has("error") && has("scope") && has("resource_metadata")
        });
    }

    #[divan::bench]
    fn rmcp(bencher: Bencher<'_, '_>) {
        let base = "https://mcp.example.com/mcp".parse().unwrap();
        bencher.bench(|| WWWAuthenticateParams::parse(black_box(CHALLENGE), &base));
    }
}

/// Read a token request's body.
#[divan::bench_group]
mod form {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        bencher.bench(|| black_box(FormPairs::parse(black_box(FORM)).unwrap()).contains("code"));
    }

    #[divan::bench]
    fn serde_urlencoded(bencher: Bencher<'_, '_>) {
        bencher.bench(|| {
            let pairs: Vec<(String, String)> =
                serde_urlencoded::from_bytes(black_box(FORM)).unwrap();
            black_box(pairs).iter().any(|(name, _)| name == "code")
        });
    }
}

/// Two scope texts as they come over the wire, and the text of both.
#[divan::bench_group]
mod scope_union {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let [held, wanted] = SCOPES.map(|text| ScopeSet::parse(text).unwrap());
        bencher.bench(|| black_box(&held).union(black_box(&wanted)).unwrap());
    }

    #[divan::bench]
    fn ours_with_both_parsed(bencher: Bencher<'_, '_>) {
        bencher.bench(|| {
            let [held, wanted] = SCOPES.map(|text| ScopeSet::parse(black_box(text)).unwrap());
            held.union(&wanted).unwrap()
        });
    }

    #[divan::bench]
    fn hash_set_of_strings(bencher: Bencher<'_, '_>) {
        bencher.bench(|| {
            let mut union: HashSet<String> =
                black_box(SCOPES[0]).split(' ').map(str::to_owned).collect();
            union.extend(black_box(SCOPES[1]).split(' ').map(str::to_owned));
            union.into_iter().collect::<Vec<_>>().join(" ")
        });
    }
}

/// Read Basic credentials.
#[divan::bench_group]
mod basic {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let headers = headers(AUTHORIZATION, BASIC);
        bencher.bench(|| {
            let line = black_box(&headers).get(AUTHORIZATION).unwrap();
            let basic = BasicCredentials::decode(line).unwrap();
            black_box((basic.client_id().len(), basic.secret().len()));
            basic
        });
    }

    #[divan::bench]
    fn headers_crate(bencher: Bencher<'_, '_>) {
        use headers::authorization::{Authorization, Basic};
        let headers = headers(AUTHORIZATION, BASIC);
        bencher.bench(|| {
            let basic = black_box(&headers).typed_get::<Authorization<Basic>>().unwrap();
            black_box((basic.username().len(), basic.password().len()));
            basic
        });
    }
}

/// Read a request's credentials and test the secret against its digest.
#[divan::bench_group]
mod client_authentication {
    use super::*;

    #[divan::bench]
    fn ours(bencher: Bencher<'_, '_>) {
        let headers = headers(AUTHORIZATION, BASIC);
        let form = FormPairs::parse(FORM).unwrap();
        let record = ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
            .with_secret(Secret::new(SECRET).digest());
        bencher.bench(|| {
            let presented = Presented::parse(black_box(&headers), black_box(&form)).unwrap();
            presented.verify(Some(&record), &[], UnixTime::from_secs(0)).unwrap()
        });
    }

    /// What a careful handler writes by hand: no form decoding, no second method looked for.
    #[divan::bench]
    fn by_hand(bencher: Bencher<'_, '_>) {
        use headers::authorization::{Authorization, Basic};
        let headers = headers(AUTHORIZATION, BASIC);
        let digest = Secret::new(SECRET).digest();
        bencher.bench(|| {
            let basic = black_box(&headers).typed_get::<Authorization<Basic>>().unwrap();
            digest.matches(basic.password()).then(|| basic.username().to_owned()).unwrap()
        });
    }
}
