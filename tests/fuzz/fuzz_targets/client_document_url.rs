//! What may be fetched is https with a path, written as a browser's URL parser writes it; and which of it is local is
//! told as that parser reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oauth_types::{ClientMetadataUrl, is_local_ip};
use url::{Host, Url};

fuzz_target!(|input: &str| {
    let Ok(own) = ClientMetadataUrl::parse(input) else { return };
    assert_eq!(own.as_url().as_str(), input);
    assert_eq!(own.client_id().as_str(), input);
    assert!(own.client_id().is_url_like());
    let Ok(url) = Url::parse(input) else {
        // A label that stands for letters and cannot be decoded: no name at all.
        assert!(input.contains("xn--"), "{input}");
        return;
    };
    assert_eq!(url.as_str(), input);
    assert!(url.scheme() == "https" && url.path().len() > 1 && url.fragment().is_none());
    assert!(url.username().is_empty() && url.password().is_none());
    let is_local = match url.host().unwrap() {
        Host::Ipv4(address) => is_local_ip(address.into()),
        Host::Ipv6(address) => is_local_ip(address.into()),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
    };
    assert_eq!(own.as_url().origin().is_local_address(), is_local, "{input}");
});
