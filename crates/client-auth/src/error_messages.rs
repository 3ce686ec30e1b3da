//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use crate::*;
use error_table::table;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_error_says_what_to_do() {
    let failed = ClientAuthError::new(Reason::WrongSecret);
    let text = [
        table!(Reason {
            Reason::MalformedForm = Reason::MalformedForm => "client's developer", "form-encode the body";
            Reason::RepeatedParameter = Reason::RepeatedParameter => "client's developer", "send the parameter once";
            Reason::RepeatedHeader = Reason::RepeatedHeader => "client's developer", "send one header";
            Reason::HeaderTooLong = Reason::HeaderTooLong => "client's developer", "send the Basic credentials alone";
            Reason::SeveralMethods = Reason::SeveralMethods => "client's developer", "choose one method";
            Reason::IdentifierMismatch = Reason::IdentifierMismatch => "client's developer", "leave `client_id` out of the body";
            Reason::MalformedHeader = Reason::MalformedHeader => "client's developer", "encode the credentials (RFC 6749 §2.3.1)";
            Reason::UnknownScheme = Reason::UnknownScheme => "client's developer", "use `Basic`";
            Reason::AssertionNotSupported = Reason::AssertionNotSupported => "client's developer", "use the type of RFC 7523 §2.2";
            Reason::MalformedAssertion = Reason::MalformedAssertion => "client's developer", "send the claims of RFC 7523 §3";
            Reason::NoIdentifier = Reason::NoIdentifier => "client's developer", "send the issued `client_id`";
            Reason::UnknownClient = Reason::UnknownClient => "client's developer", "register the client";
            Reason::WrongMethod = Reason::WrongMethod => "client's developer", "use the registered method";
            Reason::NoStoredSecret = Reason::NoStoredSecret => "operator", "store the digest of a secret";
            Reason::ExpiredSecret = Reason::ExpiredSecret => "client's developer", "register again";
            Reason::WrongSecret = Reason::WrongSecret => "client's developer", "send the issued secret";
            Reason::NoSecretVerifier = Reason::NoSecretVerifier => "host's programmer", "call `verify_with`, or set the server's secret verifier";
            Reason::InvalidSecretHash = Reason::InvalidSecretHash => "operator", "store a hash of the verifier's algorithm";
            Reason::NoStoredKeys = Reason::NoStoredKeys => "operator", "store the client's public keys";
            Reason::WrongSignature = Reason::WrongSignature => "client's developer", "sign with a registered key";
            Reason::WrongIssuer = Reason::WrongIssuer => "client's developer", "put the client identifier into `iss` and `sub`";
            Reason::WrongAudience = Reason::WrongAudience => "client's developer", "put the issuer into `aud`, alone";
            Reason::OutsideLifetime = Reason::OutsideLifetime => "both operators", "compare the clocks";
            Reason::Replayed = Reason::Replayed => "client's developer", "sign an assertion for each request";
        }),
        table!(ClientAuthError {
            ClientAuthError { .. } = failed => "client's developer", "ask the operator, whose log has the `Reason`";
        }),
        table!(InvalidBasic {
            InvalidBasic::TooLong = InvalidBasic::TooLong => "client's developer", "send the credentials alone";
            InvalidBasic::OtherScheme = InvalidBasic::OtherScheme => "client's developer", "use `Basic`";
            InvalidBasic::Malformed = InvalidBasic::Malformed => "client's developer", "encode the credentials";
        }),
        table!(InvalidSigningKey {
            InvalidSigningKey::Algorithm = InvalidSigningKey::Algorithm => "operator of the client", "configure a supported key";
            InvalidSigningKey::Form = InvalidSigningKey::Form => "operator of the client", "write the key with `openssl genpkey`";
            InvalidSigningKey::RepeatedId = InvalidSigningKey::RepeatedId => "operator of the client", "give each key its own `kid`";
        }),
        table!(SigningFailed {
            SigningFailed = SigningFailed => "host's programmer", "try again, then check the key";
        }),
        table!(InvalidSecretHash {
            InvalidSecretHash = InvalidSecretHash => "operator", "store a hash of the verifier's algorithm";
        }),
        table!(DpopError {
            DpopError::Missing = DpopError::Missing => "client's developer", "send the header `DPoP`";
            DpopError::Repeated = DpopError::Repeated => "client's developer", "send one header";
            DpopError::Malformed = DpopError::Malformed => "client's developer", "make the proof by RFC 9449 §4.2";
            DpopError::WrongSignature = DpopError::WrongSignature => "client's developer", "sign with the key in the header";
            DpopError::OtherRequest = DpopError::OtherRequest => "client's developer; operator behind a proxy", "make the proof for this request; configure the public URL";
            DpopError::OutsideLifetime = DpopError::OutsideLifetime => "both operators", "compare the clocks";
            DpopError::OtherToken = DpopError::OtherToken => "client's developer", "put the hash of this token into `ath`";
            DpopError::Nonce = DpopError::Nonce => "client's developer", "repeat the request with the nonce of the response";
            DpopError::Replayed = DpopError::Replayed => "client's developer", "make a proof for each request";
            DpopError::OtherKey = DpopError::OtherKey => "client's developer", "use the key of the grant, or log in again";
        }),
        table!(InvalidKeys {
            InvalidKeys::NotAKeySet = InvalidKeys::NotAKeySet => "publisher of the keys", "send a JWK Set";
            InvalidKeys::Private = InvalidKeys::Private => "publisher of the keys", "replace the key, because it is no longer secret";
            InvalidKeys::RepeatedKeyId = InvalidKeys::RepeatedKeyId => "publisher of the keys", "give each key its own `kid`";
            InvalidKeys::NoUsableKey = InvalidKeys::NoUsableKey => "publisher of the keys", "add a key for ES256, EdDSA or RS256";
        }),
        table!(NoUsableMethod {
            NoUsableMethod::SecretMissing = NoUsableMethod::SecretMissing => "host's programmer", "configure the secret";
            NoUsableMethod::UnknownMethod = NoUsableMethod::UnknownMethod => "host's programmer", "register another method";
            NoUsableMethod::SecretNotAccepted = NoUsableMethod::SecretNotAccepted => "host's programmer, or operator of the server", "register a public client; list a method";
            NoUsableMethod::KeyMissing = NoUsableMethod::KeyMissing => "host's programmer", "configure the private key";
            NoUsableMethod::KeyNotAccepted = NoUsableMethod::KeyNotAccepted => "host's programmer", "configure another key, or a secret";
        }),
        table!(AssertionNeeded {
            AssertionNeeded = AssertionNeeded => "host's programmer", "sign an assertion and attach it";
        }),
        table!(Replayed {
            Replayed = Replayed => "sender", "make another";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
