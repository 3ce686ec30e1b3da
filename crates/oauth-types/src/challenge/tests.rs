//! Challenges: parsing header lines and writing them.

use proptest::prelude::*;

use super::*;

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let value = |line: &&[u8]| (WWW_AUTHENTICATE, HeaderValue::from_bytes(line).unwrap());
    lines.iter().map(value).collect()
}

fn schemes(line: &str) -> Vec<Result<String, MalformedChallenge>> {
    let map = headers(&[line.as_bytes()]);
    Challenges::new(&map).map(|c| c.map(|c| c.scheme().to_owned())).collect()
}

fn ok(scheme: &str) -> Result<String, MalformedChallenge> {
    Ok(scheme.to_owned())
}

/// C-DISC-3
#[test]
fn several_schemes_lines_and_token68() {
    assert_eq!(
        schemes("Negotiate YIIabc==, Basic realm=\"a, b\", , Bearer, DPoP algs=\"ES256\""),
        [ok("Negotiate"), ok("Basic"), ok("Bearer"), ok("DPoP")]
    );
    let map = headers(&[b"Basic realm=x", b"bearer scope=\"a\""]);
    assert_eq!(Challenges::new(&map).filter(|c| c.unwrap().is("Bearer")).count(), 1);
}

#[test]
fn a_broken_challenge_costs_itself_only() {
    for broken in [
        "Bearer scope=\"r\";error=\"x\"",
        "Bearer error=\"x\" scope=\"r\"",
        "Bearer a\"b",
        "Bearer a, b",
        "=x",
        "scope=\"orphan\"",
    ] {
        let found = schemes(&format!("Basic realm=\"1\", {broken}, Digest realm=\"2\""));
        assert_eq!(found.first(), Some(&ok("Basic")), "{broken}");
        assert_eq!(found.last(), Some(&ok("Digest")), "{broken}");
    }
    assert_eq!(schemes("Bearer a=\"never closed, Basic realm=\"x\"").len(), 1);
}

/// SEC-164
#[test]
fn text_inside_a_value_is_not_a_parameter() {
    let map = headers(&[br#"Bearer realm="x\", scope=\"evil\"", xscope=no, scope="read""#]);
    let challenge = Challenges::new(&map).next().unwrap().unwrap();
    let text = |name| challenge.param(name).unwrap().unwrap().to_text().unwrap();
    assert_eq!(text("scope"), "read");
    assert_eq!(text("realm"), "x\", scope=\"evil\"");
}

#[test]
fn repeated_parameters_are_reported() {
    let map = headers(&[b"Bearer scope=a, SCOPE=b, error=x"]);
    let challenge = Challenges::new(&map).next().unwrap().unwrap();
    assert_eq!(challenge.param("scope"), Err(Repeated { name: "scope" }));
    assert!(challenge.param("error").unwrap().is_some());
}

#[test]
fn obs_text_is_structure_but_not_always_text() {
    let map = headers(&[b"Bearer error_description=\"caf\xe9\", scope=\"r\""]);
    let challenge = Challenges::new(&map).next().unwrap().unwrap();
    assert_eq!(challenge.param("error_description").unwrap().unwrap().to_text(), None);
    assert_eq!(challenge.param("scope").unwrap().unwrap().to_text().unwrap(), "r");
}

proptest! {
    #[test]
    fn no_line_panics_or_loops(line in "[ \t,=\"\\\\a-c;:]{0,60}") {
        let map = headers(&[line.as_bytes()]);
        let found = Challenges::new(&map).flatten().flat_map(|c| c.params()).count();
        prop_assert!(found <= line.len());
    }
}
