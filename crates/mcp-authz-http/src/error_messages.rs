//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use std::io;

use error_table::{row, table};

use crate::resolve::NoAddress;
use crate::*;

#[test]
fn every_error_says_what_to_do() {
    let unresolved = || NoAddress::Unresolved(io::Error::other("the resolver's reason"));
    let text = [
        table!(BuildError {
            BuildError::Certificate = BuildError::Certificate => "host's programmer", "pass certificates in PEM";
            BuildError::Proxy = BuildError::Proxy => "operator of the client", "correct the address of the proxy";
            BuildError::ProxyForUntrusted = BuildError::ProxyForUntrusted => "host's programmer", "leave the proxy out";
            BuildError::Tls = BuildError::Tls => "operator of the client, or host's programmer", "install certificates; enable `rustls`";
        }),
        requests(),
        table!(NoAddress {
            NoAddress::Local = NoAddress::Local => "source of `HttpError`", "see `HttpError: LocalAddress`";
            NoAddress::Public = NoAddress::Public => "source of `HttpError`", "see `HttpError: PublicAddress`";
            NoAddress::Busy = NoAddress::Busy => "source of `HttpError`", "see `HttpError: Busy`";
            NoAddress::Unresolved(_) = unresolved() => "source of `HttpError`", "see `HttpError: Name`";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}

fn requests() -> String {
    use HttpErrorKind::{
        Busy, Connect, Interrupted, LocalAddress, Name, Proxy, PublicAddress, Refused, Timeout,
        Tls, TooLarge, Url,
    };
    const _: fn(HttpErrorKind) = |kind| match kind {
        Url | LocalAddress | PublicAddress | Busy | Name | Refused | Tls | Proxy | Connect
        | Timeout | Interrupted | TooLarge => {}
    };
    [
        (Url, "host's programmer", "use https"),
        (LocalAddress, "host's programmer", "trust the host, if requests may go there"),
        (PublicAddress, "host's programmer", "use https, or a host of the private network"),
        (Busy, "caller, after a while", "try again"),
        (Name, "operator of the client", "check the name and the network"),
        (
            Refused,
            "operator of the client, then of the server",
            "check the address; start the server",
        ),
        (Tls, "operator of the server, or of the client", "correct or trust the certificate"),
        (Proxy, "operator of the client", "check the proxy"),
        (Connect, "operator of the client", "check the network and try again"),
        (Timeout, "caller, after a while", "try again"),
        (Interrupted, "caller", "try again, and check the address"),
        (TooLarge, "host's programmer", "check the address; raise the limit"),
    ]
    .map(|(kind, actor, action)| {
        assert!(!kind.to_string().contains(": "), "it follows the name of the peer: {kind}");
        row(&format!("HttpError: {kind:?}"), &HttpError::from(kind), actor, action)
    })
    .concat()
}
