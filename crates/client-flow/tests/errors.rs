//! Types that stand in an `Err`, and what a host reads in them.

use core::error::Error;

use client_flow::{
    CallbackError, DiscoveryError, EndpointMoved, FlowError, FlowErrorKind, FlowStage,
    RegistrationError, RestoreError, SealError, TransportError,
};
use http::StatusCode;
use oauth_types::{ErrorResponse, Issuer};

const fn is_error<E: Error + Send + Sync + 'static>() {}

const _: () = {
    is_error::<FlowError>();
    is_error::<FlowErrorKind>();
    is_error::<CallbackError>();
    is_error::<DiscoveryError>();
    is_error::<RegistrationError>();
    is_error::<SealError>();
    is_error::<TransportError>();
    is_error::<RestoreError>();
    is_error::<EndpointMoved>();
};

#[test]
fn an_error_tells_its_stage_once_and_what_to_do() {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let refused = FlowError::from(RegistrationError::NotOffered { issuer: issuer.clone() });
    assert_eq!(refused.stage(), FlowStage::Registration);
    assert!(refused.to_string().contains("ClientConfig::pre_registered"), "{refused}");

    let absent = FlowError::from(DiscoveryError::NoServerMetadata { issuer });
    assert_eq!(absent.stage(), FlowStage::ServerMetadata);
    assert_eq!(absent.to_string(), absent.kind().to_string(), "the text names its subject itself");

    for (status, hint) in [(503, "try again later"), (404, "operator")] {
        let kind = FlowErrorKind::Status(StatusCode::from_u16(status).unwrap());
        let error = FlowError::new(FlowStage::Refresh, kind.clone());
        assert_eq!(error.to_string(), format!("token refresh: {kind}"));
        assert!(error.to_string().contains(hint), "{error}");
        assert_eq!(error.is_transient(), status == 503);
    }
}

/// C-TOKEN-7
#[test]
fn a_refusal_by_the_identity_provider_ends_no_client_or_grant() {
    let answer = ErrorResponse::from_json(br#"{"error":"invalid_client"}"#);
    let kind = FlowErrorKind::Refused(answer.unwrap());
    let ends = |stage| {
        let error = FlowError::new(stage, kind.clone());
        (error.ends_client(), error.ends_grant())
    };
    assert_eq!(ends(FlowStage::TokenExchange), (false, false));
    assert_eq!(ends(FlowStage::Refresh), (true, true));
}
