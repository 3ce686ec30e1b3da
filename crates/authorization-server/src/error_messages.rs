//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use client_auth::{DpopError, InvalidKeys, Reason};
use error_table::table;
use http::StatusCode;
use iss_validate::IssuerIdentification;
use oauth_types::{
    AuthorizationErrorCode, InvalidClientId, InvalidClientIdMetadata, InvalidUri, RedirectUri,
};

use crate::store::StoreError;
use crate::store_contract::Broken;
use crate::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_error_says_what_to_do() {
    let uri = RedirectUri::parse("https://app.example/callback").unwrap();
    let redirected = RedirectError::new(
        Cause::Scope,
        AuthorizationErrorCode::InvalidScope,
        "",
        &uri,
        None,
        &IssuerIdentification::Omit,
    );
    let broken = Broken::from(StoreError::Unavailable);
    let message = broken.to_string();
    // The place in this file would change the page.
    let (_, place) = message.rsplit_once('(').unwrap();
    let hide_place = |text: String| text.replace(place, "place of the check)");
    let text = [
        table!(InvalidConfig {
            InvalidConfig::NoResource = InvalidConfig::NoResource => "host's programmer", "name a resource";
            InvalidConfig::DefaultScope = InvalidConfig::DefaultScope => "host's programmer", "choose among the configured scopes";
            InvalidConfig::Lifetime = InvalidConfig::Lifetime => "host's programmer", "choose lifetimes within the bounds";
            InvalidConfig::AuthMethods = InvalidConfig::AuthMethods => "host's programmer", "name a supported method";
            InvalidConfig::Endpoint(_) = InvalidConfig::Endpoint(InvalidUri::TooLong) => "host's programmer", "choose another issuer";
            InvalidConfig::IdentityProvider = InvalidConfig::IdentityProvider => "host's programmer", "name each other server once";
            InvalidConfig::ResourceServer = InvalidConfig::ResourceServer => "host's programmer", "name it once, with a secret or a key";
            InvalidConfig::PathPrefix = InvalidConfig::PathPrefix => "host's programmer", "pass the prefix that the proxy removes";
            InvalidConfig::PrivateUseScheme = InvalidConfig::PrivateUseScheme => "host's programmer", "name the scheme of an application";
        }),
        table!(InvalidClient {
            InvalidClient::RedirectUris = InvalidClient::RedirectUris => "client's developer", "name 1 to 16 redirect URIs";
            InvalidClient::RedirectUri(_) = InvalidClient::RedirectUri(InvalidUri::Fragment) => "client's developer", "correct the redirect URI";
            InvalidClient::PrivateUseRedirect = InvalidClient::PrivateUseRedirect => "client's developer, or operator", "use another redirect URI; list the scheme";
            InvalidClient::AuthMethod = InvalidClient::AuthMethod => "client's developer", "choose a method of the metadata";
            InvalidClient::NoKeys = InvalidClient::NoKeys => "client's developer", "publish keys";
            InvalidClient::TwoKeySets = InvalidClient::TwoKeySets => "client's developer", "leave one of the two out";
            InvalidClient::KeysTooLong = InvalidClient::KeysTooLong => "client's developer", "publish the keys at a `jwks_uri`";
            InvalidClient::Keys(_) = InvalidClient::Keys(InvalidKeys::Private) => "client's developer", "see `InvalidKeys`";
            InvalidClient::Grants = InvalidClient::Grants => "client's developer", "add `authorization_code`";
            InvalidClient::ResponseTypes = InvalidClient::ResponseTypes => "client's developer", "add `code`";
            InvalidClient::ForeignUrl = InvalidClient::ForeignUrl => "client's developer", "use public https URLs";
        }),
        table!(DocumentRefused {
            DocumentRefused::Unreachable = DocumentRefused::Unreachable => "client's developer", "publish the document at a public address";
            DocumentRefused::Busy = DocumentRefused::Busy => "client", "try again later";
            DocumentRefused::Forbidden = DocumentRefused::Forbidden => "client's developer, or operator", "register in another way; allow the host";
            DocumentRefused::Status(_) = DocumentRefused::Status(StatusCode::NOT_FOUND) => "client's developer", "publish the document";
            DocumentRefused::MediaType = DocumentRefused::MediaType => "client's developer", "correct the media type";
            DocumentRefused::Document(_) = DocumentRefused::Document(InvalidClientIdMetadata::OtherClient) => "client's developer", "see `InvalidClientIdMetadata`";
            DocumentRefused::Client(_) = DocumentRefused::Client(InvalidClient::TwoKeySets) => "client's developer", "see `InvalidClient`";
            DocumentRefused::Keys(_) = DocumentRefused::Keys(InvalidKeys::NotAKeySet) => "client's developer", "see `InvalidKeys`";
        }),
        table!(ClientUnavailable {
            ClientUnavailable::Store(_) = ClientUnavailable::Store(StoreError::Unavailable) => "client; operator", "see `StoreError`";
            ClientUnavailable::Document = ClientUnavailable::Document => "client; operator", "try again; read the log";
        }),
        table!(StoreError {
            StoreError::Unavailable = StoreError::Unavailable => "client; operator", "try again; check the database";
            StoreError::UnknownOutcome = StoreError::UnknownOutcome => "client", "repeat the request";
            StoreError::Corrupt = StoreError::Corrupt => "operator", "check the database, or restore a backup";
        }),
        table!(Refusal {
            Refusal { .. } = Refusal::store(StoreError::Unavailable) => "depends on the cause", "see `Cause`";
        }),
        table!(PageError {
            PageError { .. } = PageError::consent(ConsentError::OtherSite) => "depends on the cause", "see `Cause`";
        }),
        table!(RedirectError {
            RedirectError { .. } = redirected => "depends on the cause", "see `Cause`";
        }),
        table!(Cause {
            Cause::Method = Cause::Method => "client's developer", "use a method of `Allow`";
            Cause::Body = Cause::Body => "client's developer", "send a whole form";
            Cause::Parameter(_) = Cause::Parameter("code_verifier") => "client's developer", "correct the parameter";
            Cause::RepeatedParameter = Cause::RepeatedParameter => "client's developer", "send each parameter once";
            Cause::QueryInUrl = Cause::QueryInUrl => "client's developer", "send parameters in the body";
            Cause::RegisteredMetadata = Cause::RegisteredMetadata => "client's developer", "read the description in the reply";
            Cause::Client(_) = Cause::Client(Reason::WrongSecret) => "depends on the reason", "see `Reason`";
            Cause::UnknownClient = Cause::UnknownClient => "client", "register";
            Cause::ClientUrl(_) = Cause::ClientUrl(InvalidClientId::NoPath) => "client's developer", "see `InvalidClientId`";
            Cause::ClientDocument = Cause::ClientDocument => "client's developer", "correct the document";
            Cause::RedirectUri = Cause::RedirectUri => "client's developer", "register the redirect URI";
            Cause::Grant = Cause::Grant => "client's developer", "use a registered grant";
            Cause::Scope = Cause::Scope => "client's developer", "request scopes of the metadata";
            Cause::Target = Cause::Target => "client's developer", "name the resource of the login";
            Cause::UnknownGrant = Cause::UnknownGrant => "client", "log in again";
            Cause::Expired = Cause::Expired => "client", "log in again";
            Cause::Verifier = Cause::Verifier => "client's developer", "send the verifier of the login";
            Cause::CodeReplayed = Cause::CodeReplayed => "client's developer", "redeem a code once";
            Cause::RefreshTokenReused = Cause::RefreshTokenReused => "client's developer", "store the refresh token of each reply";
            Cause::Revoked = Cause::Revoked => "client", "log in again";
            Cause::NotOffered = Cause::NotOffered => "client", "log in again";
            Cause::RegisteredRedirectUri = Cause::RegisteredRedirectUri => "client's developer", "read the description in the reply";
            Cause::Quota = Cause::Quota => "client; host's programmer", "try again later; store more clients";
            Cause::Unasked = Cause::Unasked => "client's developer", "send the request without `prompt=none`";
            Cause::TooMany = Cause::TooMany => "client; operator behind a proxy", "wait; name the proxy as trusted";
            Cause::Consent(_) = Cause::Consent(ConsentError::Gone) => "user", "see `ConsentError`";
            Cause::ForeignHost = Cause::ForeignHost => "host's programmer", "add the name, if it is one of the server";
            Cause::Proof(_) = Cause::Proof(DpopError::Missing) => "client's developer", "see `DpopError`";
            Cause::Assertion(_) = Cause::Assertion(AssertionError::Replayed) => "client's developer", "see `AssertionError`";
            Cause::Store(_) = Cause::Store(StoreError::UnknownOutcome) => "client; operator", "see `StoreError`";
            Cause::LoginUnavailable = Cause::LoginUnavailable => "operator", "look at the `source` of the event, and restore what the login asks";
            Cause::Entropy = Cause::Entropy => "operator", "check the system's random source";
            Cause::Panicked = Cause::Panicked => "host's programmer", "correct the code that panicked";
            Cause::Late = Cause::Late => "host's programmer", "check the store and the login";
        }),
        table!(ConsentError {
            ConsentError::Gone = ConsentError::Gone => "user", "start again from the application";
            ConsentError::OtherBrowser = ConsentError::OtherBrowser => "user", "answer in the browser that shows the page";
            ConsentError::OtherUser = ConsentError::OtherUser => "user", "log in, and start again from the application";
            ConsentError::OtherSite = ConsentError::OtherSite => "user", "start again from the application";
        }),
        table!(AssertionError {
            AssertionError::UnknownProvider = AssertionError::UnknownProvider => "client's developer, or operator", "send an ID-JAG; configure its issuer";
            AssertionError::WrongSignature = AssertionError::WrongSignature => "client, then operator", "get a new ID-JAG; compare the keys";
            AssertionError::WrongAudience = AssertionError::WrongAudience => "client's developer", "request an ID-JAG for this issuer";
            AssertionError::OtherClient = AssertionError::OtherClient => "client's developer", "request an ID-JAG of its own";
            AssertionError::OutsideLifetime = AssertionError::OutsideLifetime => "both operators", "compare the clocks; shorten the lifetime";
            AssertionError::Malformed = AssertionError::Malformed => "operator of the identity provider", "correct the claims";
            AssertionError::Replayed = AssertionError::Replayed => "client's developer", "request an ID-JAG for each token request";
        }),
        table!(UnreadBody {
            UnreadBody::TooLong = UnreadBody::TooLong => "client's developer", "send less";
            UnreadBody::TooSlow = UnreadBody::TooSlow => "client's developer", "send the body without pauses";
            UnreadBody::Broken = UnreadBody::Broken => "client's developer", "send the whole body";
        }),
        table!(Broken {
            Broken { .. } = broken => "author of the store", "correct the operation";
        }),
    ];
    insta::assert_snapshot!(hide_place(text.concat()));
}
