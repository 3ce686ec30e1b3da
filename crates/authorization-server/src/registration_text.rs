//! Texts of `error_description` in registration responses (RFC 7591 §3.2.2).
//!
//! Clients compare and log these texts, so they stay as they are while the messages of the errors change.

use std::borrow::Cow;

use client_auth::InvalidKeys;
use oauth_types::{DocumentError, InvalidUri};

use crate::client_error::InvalidClient;

/// Returns the text for a body that is not client metadata.
pub(crate) fn of_document(error: &DocumentError) -> Cow<'static, str> {
    match error {
        DocumentError::NotAnObject => {
            "the document is not one JSON object of bounded depth without repeated members".into()
        }
        other => other.to_string().into(),
    }
}

/// Returns the text for metadata that is refused.
pub(crate) fn of_client(error: &InvalidClient) -> Cow<'static, str> {
    match error {
        InvalidClient::RedirectUri(rule) => format!(
            "redirect_uris: none is https, or http on a loopback host; redirect_uris[0] {}",
            of_uri(*rule)
        )
        .into(),
        InvalidClient::Keys(rule) => of_keys(*rule),
        InvalidClient::RedirectUris => {
            "redirect_uris: name 1 to 16, of at most 8192 bytes together".into()
        }
        InvalidClient::PrivateUseRedirect => {
            "redirect_uris: none is https, or http on a loopback host; the private-use scheme of \
             redirect_uris[0] is not on the list of this server's operator"
                .into()
        }
        InvalidClient::AuthMethod => {
            "token_endpoint_auth_method: none that the client offers is taken here; see \
             token_endpoint_auth_methods_supported of the server's metadata"
                .into()
        }
        InvalidClient::NoKeys => {
            "token_endpoint_auth_method: private_key_jwt needs public keys in jwks, or at a jwks_uri that is \
             public, https, and fetched by this server"
                .into()
        }
        InvalidClient::TwoKeySets => "send jwks or jwks_uri, not both".into(),
        InvalidClient::KeysTooLong => {
            "jwks: at most 16384 bytes; publish more keys at a jwks_uri".into()
        }
        InvalidClient::Grants => {
            "grant_types: authorization_code has to be among them, and refresh_token is the other one offered"
                .into()
        }
        InvalidClient::ResponseTypes => {
            "response_types: code has to be among them, and is the one offered".into()
        }
        InvalidClient::ForeignUrl => {
            "URLs in client metadata are https, and lead to no local address".into()
        }
    }
}

fn of_uri(rule: InvalidUri) -> Cow<'static, str> {
    match rule {
        InvalidUri::Syntax => "is not an absolute URI (RFC 3986)",
        InvalidUri::TooLong => "is longer than 2048 bytes",
        InvalidUri::NoHost => "names no host: expected one such as `https://server.example`",
        InvalidUri::AmbiguousHost => {
            "has a host that some would read as another one: use a plain name, or an IPv4 address \
             in four decimal numbers"
        }
        InvalidUri::PlainHttp => "is http on a host that is not loopback",
        InvalidUri::NotHttps => "is not https",
        InvalidUri::Scheme => "has a scheme that is not allowed here",
        InvalidUri::Userinfo => "carries a user name or password: leave them out",
        InvalidUri::Port => "has a port that is not a number from 0 to 65535",
        InvalidUri::Query => "has a query",
        InvalidUri::Fragment => "has a fragment",
        InvalidUri::EmptySegment => "has an empty path segment: write one slash instead of two",
        InvalidUri::DotSegment => "has a path segment `.` or `..`: write the path without it",
        InvalidUri::ReservedParameter => {
            "has a query parameter that authorization responses use themselves"
        }
        other => return other.to_string().into(),
    }
    .into()
}

fn of_keys(rule: InvalidKeys) -> Cow<'static, str> {
    match rule {
        InvalidKeys::NotAKeySet => "jwks is not a set of at most 16 keys",
        InvalidKeys::Private => "a private key was sent: replace it, and send public keys only",
        InvalidKeys::RepeatedKeyId => "two keys of one algorithm in jwks have the same kid",
        InvalidKeys::NoUsableKey => {
            "no key in jwks is whole, and for signatures in an algorithm that may be used here"
        }
        other => return other.to_string().into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use oauth_types::{ClientMetadata, RedirectUri};

    use super::*;

    #[test]
    fn replies_keep_their_text() {
        let uri = |text| {
            let error = InvalidClient::RedirectUri(RedirectUri::parse(text).unwrap_err());
            of_client(&error).into_owned()
        };
        let none = "redirect_uris: none is https, or http on a loopback host; redirect_uris[0]";
        assert_eq!(uri("https://a.example/#x"), format!("{none} has a fragment"));
        assert_eq!(
            uri("http://a.example/"),
            format!("{none} is http on a host that is not loopback")
        );
        assert_eq!(
            of_client(&InvalidClient::Keys(InvalidKeys::Private)),
            "a private key was sent: replace it, and send public keys only"
        );
        let document = |json: &[u8]| of_document(&ClientMetadata::from_json(json).unwrap_err());
        assert_eq!(
            document(b"[]"),
            "the document is not one JSON object of bounded depth without repeated members"
        );
        assert_eq!(
            document(br#"{"redirect_uris": 7}"#),
            "`redirect_uris` is a number; it has to be a list of texts"
        );
    }
}
