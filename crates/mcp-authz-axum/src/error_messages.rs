//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use error_table::table;
use oauth_types::{InvalidUri, Issuer, ResourceUri};
use resource_server::Resource;

use crate::protect::TokenEnded;
use crate::*;

#[test]
fn every_error_says_what_to_do() {
    let resource = |uri: &str| {
        let issuer = Issuer::parse("https://as.example").unwrap();
        Resource::new(ResourceUri::parse(uri).unwrap(), vec![issuer]).unwrap()
    };
    let resources = [resource("https://one.example/mcp"), resource("https://two.example/mcp")];
    let same = metadata_routes_of(&resources).unwrap_err();
    let text = [
        table!(SameMetadataPath {
            SameMetadataPath { .. } = same => "host's programmer", "change a path, or make two routers";
        }),
        table!(VerifierUnavailable {
            VerifierUnavailable { .. } = VerifierUnavailable::new() => "client; operator", "try again; read the log";
        }),
        table!(InvalidRemote {
            InvalidRemote::Issuer(_) = InvalidRemote::Issuer(InvalidUri::TooLong) => "operator", "correct the issuer";
            InvalidRemote::Certificate = InvalidRemote::Certificate => "operator", "pass certificates in PEM";
            InvalidRemote::Tls = InvalidRemote::Tls => "operator", "install certificates";
        }),
        table!(WebDocumentsFailed {
            WebDocumentsFailed::Certificate = WebDocumentsFailed::Certificate => "operator", "pass certificates in PEM";
            WebDocumentsFailed::Tls = WebDocumentsFailed::Tls => "operator, or host's programmer", "install certificates; call `without_client_documents`";
        }),
        table!(LoginUnavailable {
            LoginUnavailable { .. } = LoginUnavailable::from_source("the database of users is down") => "operator", "restore what the source names";
        }),
        table!(TokenEnded {
            TokenEnded { .. } = TokenEnded => "client", "get a new token and send the request again";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
