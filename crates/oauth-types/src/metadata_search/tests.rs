//! Searches for authorization server metadata, one response at a time.

use http::HeaderValue;
use http::header::LOCATION;

use super::*;

const ISSUER: &str = "https://as.example/t";
const OWN: &str = r#"{"issuer":"https://as.example/t"}"#;

fn answer(status: u16, body: &str, location: Option<&str>) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    let location = location.map(|to| (LOCATION, HeaderValue::from_str(to).unwrap()));
    answer.headers_mut().extend(location);
    answer
}

/// Runs a search for `ISSUER`; returns the requested URLs and the outcome.
fn search(
    answers: impl Fn(usize, &str) -> Response<Bytes>,
) -> (Vec<String>, Result<EndpointUrl, MetadataNotFound>) {
    let issuer = Issuer::parse(ISSUER).unwrap();
    let mut search = MetadataSearch::of_server(&issuer, ServerPlaces::WellKnown).unwrap();
    let mut asked = Vec::new();
    loop {
        asked.push(search.url().to_string());
        let response = answers(asked.len(), search.url().as_str());
        match search.resume(&response, issued_by(&issuer)) {
            Ok(MetadataStep::Found { place, .. }) => return (asked, Ok(place)),
            Ok(MetadataStep::Next(next)) => search = next,
            Err(error) => return (asked, Err(error)),
        }
    }
}

/// C-DISC-5, C-DISC-12
#[test]
fn every_place_is_asked_until_one_has_the_document() {
    for (status, body) in [
        (404, OWN),
        (401, ""),
        (302, ""),
        (301, ""),
        (500, OWN),
        (429, ""),
        (204, ""),
        (200, "<html>"),
        (200, ""),
        (200, "[]"),
        (200, "{}"),
        (200, r#"{"issuer":1}"#),
        (200, r#"{"issuer":"https://evil.example"}"#),
    ] {
        let miss = answer(status, body, None);
        let (asked, found) =
            search(|nth, _| if nth < 3 { miss.clone() } else { answer(200, OWN, None) });
        assert_eq!(
            found.unwrap().as_str(),
            "https://as.example/t/.well-known/openid-configuration"
        );
        assert_eq!(asked.len(), 3);
        let (asked, found) = search(|_, _| miss.clone());
        assert!(found.is_err() && asked.len() == 3, "{status} {body}");
    }
}

/// C-DISC-12
#[test]
fn only_4xx_and_pages_mean_that_there_is_no_document() {
    for (status, body, absent) in [
        (404, "", true),
        (403, "", true),
        (200, "<html>", true),
        (200, " \n", true),
        (200, "\"no\"", true),
        (408, "", false),
        (425, "", false),
        (429, "", false),
        (500, "", false),
        (302, "", false),
        (308, "", false),
        (204, "", false),
        (200, "{}", false),
        (200, "\u{feff}{}", false),
        // Metadata with a repeated member counts as metadata.
        (200, r#"{"issuer":"https://as.example/t","issuer":"https://as.example/t"}"#, false),
        (200, r#"{"issuer":"https://as.example"}"#, false),
    ] {
        // The result does not depend on the URL that gives this response.
        for place in 1..=3 {
            let (_, found) = search(|nth, _| {
                if nth == place { answer(status, body, None) } else { answer(404, "", None) }
            });
            assert_eq!(found.unwrap_err().is_absent, absent, "{status} {body}");
        }
    }
    let issuer = Issuer::parse(ISSUER).unwrap();
    let search = MetadataSearch::new(vec![EndpointUrl::parse(ISSUER).unwrap()]).unwrap();
    let error = search.too_large::<()>().unwrap_err();
    assert!(!error.is_absent, "{issuer}: {error}");
}

/// C-DISC-10
#[test]
fn the_first_failure_is_reported_before_any_page() {
    let told = |answers: [(u16, &str); 3]| {
        let (_, found) = search(|nth, _| answer(answers[nth - 1].0, answers[nth - 1].1, None));
        found.unwrap_err().failure
    };
    let (missing, page, failing) = ((404, ""), (200, "<html>"), (503, ""));
    let other = (200, r#"{"issuer":"https://as.example/"}"#);
    let received = Issuer::parse("https://as.example/").unwrap();
    assert_eq!(told([missing; 3]), None);
    assert!(matches!(told([missing, page, missing]), Some(MetadataFailure::Document { .. })));
    let status = Some(MetadataFailure::Status(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(told([page, failing, other]), status);
    assert_eq!(told([failing, (500, ""), page]), status);
    assert_eq!(told([page, other, failing]), Some(MetadataFailure::IssuerMismatch { received }));
}

/// SEC-135
#[test]
fn redirects_are_followed_on_the_same_origin_and_three_times() {
    let first = "https://as.example/.well-known/oauth-authorization-server/t";
    for status in [301, 307, 308] {
        let (asked, found) = search(|_, url| {
            if url == first { answer(status, "", Some("/moved")) } else { answer(200, OWN, None) }
        });
        assert_eq!(asked, [first, "https://as.example/moved"]);
        // The well-known URL is returned, because it is public and may redirect elsewhere later.
        assert_eq!(found.unwrap().as_str(), first);
    }
    for (status, to) in [
        (302, "/moved"),
        (303, "/moved"),
        (300, "/moved"),
        (304, "/moved"),
        (308, "https://evil.example/moved"),
        (308, "//evil.example/moved"),
        (308, "http://as.example/moved"),
        (308, "https://as.example:8443/moved"),
        (308, "https://u@as.example/moved"),
        (308, "/a/%2e%2e/moved"),
    ] {
        let (asked, found) = search(|_, _| answer(status, "", Some(to)));
        assert_eq!(asked.len(), 3, "{status} {to}");
        let failure = MetadataFailure::Status(StatusCode::from_u16(status).unwrap());
        assert_eq!(found, Err(MetadataNotFound { failure: Some(failure), is_absent: false }));
    }
    // An endless loop of redirects.
    let (asked, found) = search(|_, url| answer(308, "", Some(url)));
    assert!(found.is_err() && asked.len() == 12, "{asked:?}");
    let (asked, found) = search(|nth, _| answer(307, "", Some(&format!("/{nth}"))));
    assert!(found.is_err() && asked.len() == 12, "{asked:?}");
}

/// C-DISC-4
#[test]
fn metadata_of_another_resource_ends_the_search() {
    let called = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let places = ["https://rs.example/a", "https://rs.example/b", "https://rs.example/c"];
    let places: Vec<_> = places.iter().map(|url| EndpointUrl::parse(url).unwrap()).collect();
    let search = MetadataSearch::new(places.clone()).unwrap();
    let page = answer(200, "<html>", None);
    let Ok(MetadataStep::Next(search)) = search.resume(&page, describing(&called)) else {
        panic!()
    };
    let own = answer(200, r#"{"resource":"https://rs.example"}"#, None);
    let found = search.clone().resume(&own, describing(&called));
    assert!(matches!(found, Ok(MetadataStep::Found { place, .. }) if place == places[1]));
    let other = answer(200, r#"{"resource":"https://rs.example/other"}"#, None);
    let error = search.resume(&other, describing(&called)).unwrap_err();
    let failure = Some(MetadataFailure::ResourceMismatch { url: places[1].clone() });
    assert_eq!(error, MetadataNotFound { failure, is_absent: false });
}

/// C-DISC-5
#[test]
fn the_places_of_a_search_are_those_that_its_policy_names() {
    let issuer = Issuer::parse(ISSUER).unwrap();
    let own = crate::well_known::authorization_server_urls(&issuer).unwrap();
    let named = EndpointUrl::parse("https://as.example/named.json").unwrap();
    for (places, expected) in [
        (ServerPlaces::WellKnown, own.as_slice()),
        (ServerPlaces::Legacy, &own[..1]),
        (ServerPlaces::At(&named), core::slice::from_ref(&named)),
    ] {
        let mut search = MetadataSearch::of_server(&issuer, places).unwrap();
        for url in own.iter().chain([&named]) {
            assert_eq!(search.includes(url), expected.contains(url), "{places:?} {url}");
        }
        let mut asked = vec![search.place.clone()];
        let missing = answer(404, "", None);
        while let Ok(MetadataStep::Next(next)) = search.resume(&missing, issued_by(&issuer)) {
            search = next;
            asked.push(search.place.clone());
        }
        assert_eq!(asked, expected);
    }
}
