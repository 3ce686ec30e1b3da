//! The first lines of a token endpoint: which client is this?

use std::collections::HashMap;

use client_auth::{ClientAuthError, ClientAuthRecord, Presented, Replay, Verified};
use http::{Request, Response};
use oauth_types::{ClientId, FormPairs, UnixTime};

/// Clients that the operator has registered.
pub type Clients = HashMap<ClientId, ClientAuthRecord>;

/// Answers a token request: 200 with the client's identifier, or the error response of RFC 6749 §5.2.
pub fn answer(request: &Request<&str>, clients: &Clients, now: UnixTime) -> Response<String> {
    let Ok(form) = FormPairs::parse(request.body().as_bytes()) else {
        return Response::builder()
            .status(400)
            .body("invalid_request".to_owned())
            .expect("a status and a text");
    };
    match authenticate(request, &form, clients, now) {
        Ok(client) => Response::new(client.as_str().to_owned()),
        Err(error) => error.into_response().map(|body| String::from_utf8_lossy(&body).into_owned()),
    }
}

fn authenticate(
    request: &Request<&str>,
    form: &FormPairs<'_>,
    clients: &Clients,
    now: UnixTime,
) -> Result<ClientId, ClientAuthError> {
    let presented = Presented::parse(request.headers(), form)?;
    let registered = clients.get(presented.client_id());
    let client = match presented.verify(registered, &["https://as.example"], now)? {
        Verified::Done(client) => client,
        // These clients have secrets: no assertion arrives here that would have to be remembered.
        Verified::FirstUse(step) => step.resume(Replay::Seen)?,
    };
    Ok(client.client_id().clone())
}

#[test]
fn a_client_needs_its_own_secret_by_its_own_method() -> Result<(), Box<dyn std::error::Error>> {
    use oauth_types::{AuthMethod, Secret};

    let basic = ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
        .with_secret(Secret::new("s3cret").digest());
    let clients = Clients::from([
        (ClientId::parse("c1")?, basic),
        (ClientId::parse("app")?, ClientAuthRecord::public()),
    ]);
    let send = |authorization: Option<&str>, body| {
        let mut request = Request::post("/token");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        answer(&request.body(body).unwrap(), &clients, UnixTime::from_secs(0))
    };
    assert_eq!(send(Some("Basic YzE6czNjcmV0"), "").body(), "c1");
    assert_eq!(send(None, "client_id=app").body(), "app");
    let unknown = send(None, "client_id=c2");
    assert_eq!(unknown.status(), 401);
    assert!(unknown.body().contains("invalid_client"));
    assert_eq!(send(None, "client_id=c1&client_secret=s3cret").status(), 401);
    assert_eq!(send(Some("Basic YzE6d3Jvbmc="), "").status(), 401);
    Ok(())
}
