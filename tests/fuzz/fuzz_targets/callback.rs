//! A callback is opened only when it names the issuer that was asked, or names none where none was promised; when it
//! carries the state that was sent; and when it holds one code or one error. A rejection repeats nothing of it.

#![no_main]

use iss_validate::{Callback, Expected, Validated};
use libfuzzer_sys::fuzz_target;
use oauth_types::{Entropy, FormPairs, Issuer, State};

const ISSUER: &str = "https://as.example";

fuzz_target!(|input: (bool, &str)| {
    let (iss_advertised, query) = input;
    let state = State::new(Entropy::new([7; 32]));
    let sent = state.as_secret().expose().to_owned();
    let issuer = Issuer::parse(ISSUER).unwrap();
    let expected = Expected::new(issuer, state).with_iss_advertised(iss_advertised);
    // So that the state is guessed at once.
    let query = query.replace("STATE", &sent).replace("CANARY", "canary") + "&error_uri=canary";

    let form = FormPairs::parse(query.as_bytes());
    let one = |name| form.as_ref().ok().and_then(|form| form.single(name).ok().flatten());
    match Callback::from_query(&query).validate(&expected) {
        Ok(validated) => {
            let names_itself = one("iss") == Some(ISSUER);
            assert!(names_itself || (one("iss").is_none() && !iss_advertised));
            assert_eq!(one("state"), Some(&*sent));
            for name in ["iss", "state", "code", "error"] {
                assert!(form.as_ref().unwrap().single(name).is_ok());
            }
            match validated {
                Validated::Code(code) => assert_eq!(one("code"), Some(code.as_secret().expose())),
                Validated::Denied(error) => assert_eq!(one("error"), Some(error.code.as_str())),
            }
        }
        Err(rejected) => {
            assert!(!format!("{rejected} {rejected:?}").contains("canary"));
        }
    }
});
