//! Whole logins against a scripted server, without a socket.

#![cfg(test)]

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use client_flow::{
    ClientConfig, FlowError, Purpose, Record, Session, Step, TransportFailed, login,
};
use http::{Method, Request, Response, StatusCode};
use iss_validate::{Callback, Rejection};
use oauth_types::{
    BearerChallenge, ClientId, ClientMetadataUrl, CodeChallenge, CodeVerifier, EndpointUrl,
    Entropy, FormPairs, Issuer, RedirectUri, ScopeSet, UnixTime,
};
use serde_json::{Value, json};

const MCP: &str = "https://rs.example/mcp";
const NOW: UnixTime = UnixTime::from_secs(1_000_000);

/// What the world answers; change a member to break one thing.
struct World {
    prm: (u16, Value),
    prm_root: (u16, Value),
    metadata: (u16, Value),
    openid: (u16, Value),
    register: (u16, Value),
    token: (u16, Value),
    callback: Box<dyn Fn(&str) -> String>,
    kept: Option<Record>,
    saves: Cell<bool>,
    sent: RefCell<Vec<Request<Bytes>>>,
    saved: RefCell<Vec<Record>>,
    drawn: Cell<u8>,
}

impl World {
    fn new() -> Self {
        Self {
            prm: (200, json!({"resource": MCP, "authorization_servers": ["https://as.example"]})),
            prm_root: (404, json!({})),
            metadata: (200, metadata("https://as.example")),
            openid: (404, json!({})),
            register: (201, json!({"client_id": "c1", "redirect_uris": ["http://127.0.0.1/cb"]})),
            token: (200, json!({"access_token": "at", "token_type": "bearer", "expires_in": 600})),
            callback: Box::new(|url| {
                let state = query(url, "state").unwrap();
                format!("http://127.0.0.1/cb?code=the-code&state={state}&iss=https://as.example")
            }),
            kept: None,
            saves: Cell::new(true),
            sent: RefCell::default(),
            saved: RefCell::default(),
            drawn: Cell::new(0),
        }
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        self.sent.borrow_mut().push(request.clone());
        let (status, body) = match request.uri().to_string().as_str() {
            "https://rs.example/.well-known/oauth-protected-resource/mcp" => &self.prm,
            "https://rs.example/.well-known/oauth-protected-resource" => &self.prm_root,
            "https://as.example/.well-known/oauth-authorization-server" => &self.metadata,
            "https://as.example/.well-known/openid-configuration" => &self.openid,
            "https://as.example/register" => &self.register,
            "https://as.example/token" => &self.token,
            _ => &(404, Value::Null),
        };
        let mut response = Response::new(match body {
            Value::String(raw) => raw.clone().into(),
            json => json.to_string().into(),
        });
        *response.status_mut() = StatusCode::from_u16(*status).unwrap();
        response
    }

    fn drive(&self, mut step: Step) -> Result<Session, FlowError> {
        loop {
            step = match step {
                Step::Exchange(exchange) => {
                    let response = self.answer(exchange.request());
                    exchange.resume(Ok(response), NOW)?
                }
                Step::Recall(recall) => {
                    let key = recall.key();
                    let kept = self.kept.clone().filter(|record| record.account.key() == key);
                    recall.resume(kept, NOW)?
                }
                Step::ChooseServer(choose) => {
                    let last = choose.servers().len() - 1;
                    choose.choose(last)?
                }
                Step::Randomize(draw) => {
                    self.drawn.set(self.drawn.get() + 2);
                    let one = Entropy::new([self.drawn.get(); 32]);
                    let other = Entropy::new([self.drawn.get() + 1; 32]);
                    draw.resume(one, other, NOW)
                }
                Step::Visit(visit) => {
                    let callback = (self.callback)(visit.url());
                    visit.resume(Callback::from_url(&callback), NOW)?
                }
                Step::Save(save) if self.saves.get() => {
                    self.saved.borrow_mut().push(save.record().clone());
                    save.saved()
                }
                Step::Save(save) => return Err(save.failed()),
                Step::Ready(session) => return Ok(*session),
            }
        }
    }

    fn login(&self, config: ClientConfig) -> Result<Session, FlowError> {
        self.drive(login(config, MCP, None, None)?)
    }

    fn sent(&self) -> Vec<String> {
        let line = |request: &Request<Bytes>| format!("{} {}", request.method(), request.uri());
        self.sent.borrow().iter().map(line).collect()
    }

    /// A parameter of the last token request.
    fn token_form(&self, name: &'static str) -> Option<String> {
        let sent = self.sent.borrow();
        let request = sent.iter().rev().find(|request| request.uri().path() == "/token")?;
        let form = FormPairs::parse(request.body()).unwrap();
        form.value(name).unwrap().map(str::to_owned)
    }

    fn token_requests(&self) -> usize {
        self.sent.borrow().iter().filter(|request| request.uri().path() == "/token").count()
    }
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "registration_endpoint": "https://as.example/register",
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn config() -> ClientConfig {
    ClientConfig::new("Test", RedirectUri::parse("http://127.0.0.1/cb").unwrap())
}

fn query(url: &str, name: &'static str) -> Option<String> {
    let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
    form.value(name).unwrap().map(str::to_owned)
}

#[test]
fn a_cold_login_sends_four_requests_and_saves_before_use() {
    let world = World::new();
    let session = world.login(config()).unwrap();
    assert_eq!(
        world.sent(),
        [
            "GET https://rs.example/.well-known/oauth-protected-resource/mcp",
            "GET https://as.example/.well-known/oauth-authorization-server",
            "POST https://as.example/register",
            "POST https://as.example/token",
        ]
    );
    // C-TOKEN-6: first the registration, then the tokens.
    let saved = world.saved.borrow();
    assert_eq!(
        saved.iter().map(|record| record.tokens.is_some()).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(session.tokens().expires_at, Some(UnixTime::from_secs(1_000_600)));
}

#[test]
fn c_disc_1_the_challenge_names_the_metadata_on_its_own_origin_only() {
    let challenge = |url| BearerChallenge {
        resource_metadata: Some(EndpointUrl::parse(url).unwrap()),
        ..BearerChallenge::default()
    };
    for (url, first) in [
        ("https://rs.example/prm", "GET https://rs.example/prm"),
        (
            "https://evil.example/prm",
            "GET https://rs.example/.well-known/oauth-protected-resource/mcp",
        ),
    ] {
        let world = World::new();
        world.drive(login(config(), MCP, Some(&challenge(url)), None).unwrap()).unwrap();
        assert_eq!(world.sent()[0], first);
    }
}

#[test]
fn c_disc_2_then_the_path_then_the_root() {
    let mut world = World::new();
    let resource =
        json!({"resource": "https://rs.example", "authorization_servers": ["https://as.example"]});
    (world.prm, world.prm_root) = ((404, json!({})), (200, resource));
    let session = world.login(config()).unwrap();
    // C-AUTHZ-3: the published bytes, with no slash added.
    assert_eq!(session.account().resource.as_str(), "https://rs.example");
    assert_eq!(world.token_form("resource").unwrap(), "https://rs.example");
    world.prm_root.0 = 404;
    assert!(matches!(world.login(config()), Err(FlowError::NoResourceMetadata)));
}

#[test]
fn c_disc_4_sec_131_metadata_of_another_resource_is_refused_before_any_server_is_asked() {
    for resource in
        ["https://evil.example/mcp", "https://rs.example/mcp2", "https://rs.example/mcp?x"]
    {
        let mut world = World::new();
        world.prm.1["resource"] = resource.into();
        assert!(matches!(world.login(config()), Err(FlowError::ResourceMismatch { .. })));
        assert_eq!(world.sent().len(), 1, "{resource}");
    }
}

#[test]
fn c_disc_7_sec_014_metadata_of_another_issuer_is_unusable() {
    for issuer in ["https://honest.example", "https://as.example/", "https://AS.example"] {
        let mut world = World::new();
        world.metadata.1["issuer"] = issuer.into();
        let error = world.login(config()).unwrap_err();
        assert!(matches!(error, FlowError::IssuerMismatch { .. }), "{issuer}");
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")), "{issuer}");
        // The next place may have the right one.
        world.openid = (200, metadata("https://as.example"));
        assert!(world.login(config()).is_ok());
    }
}

#[test]
fn c_disc_9_sec_139_the_host_chooses_among_several_servers() {
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!(["https://evil.example", "https://as.example"]);
    let session = world.login(config()).unwrap();
    assert_eq!(session.account().server.issuer.as_str(), "https://as.example");
    world.prm.1["authorization_servers"] = json!([]);
    assert!(matches!(world.login(config()), Err(FlowError::NoAuthorizationServer)));
}

#[test]
fn c_disc_10_c_disc_12_sec_132_sec_133_a_failing_server_ends_the_flow() {
    type Break = fn(&mut World);
    let breaks: [(Break, Purpose); 6] = [
        (|world| world.prm.0 = 500, Purpose::ResourceMetadata),
        (|world| world.prm = (200, "<html>".into()), Purpose::ResourceMetadata),
        (|world| world.prm = (302, json!({})), Purpose::ResourceMetadata),
        (|world| world.metadata.0 = 503, Purpose::ServerMetadata),
        (|world| world.metadata = (200, "{\"issuer\":[]}".into()), Purpose::ServerMetadata),
        (|world| world.metadata = (200, json!([])), Purpose::ServerMetadata),
    ];
    for (break_it, expected) in breaks {
        let mut world = World::new();
        break_it(&mut world);
        match world.login(config()).unwrap_err() {
            FlowError::Status { purpose, .. } | FlowError::Document { purpose, .. } => {
                assert_eq!(purpose, expected);
            }
            other => panic!("{other:?}"),
        }
        assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
    }
}

#[test]
fn c_authz_7_sec_128_sec_134_sec_136_endpoints_lead_nowhere_else() {
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        for bad in [
            "http://as.example/x",
            "javascript:alert(1)",
            "http://localhost/x",
            "https://127.0.0.1/x",
        ] {
            let mut world = World::new();
            world.metadata.1[member] = bad.into();
            let error = world.login(config()).unwrap_err();
            let expected =
                matches!(error, FlowError::Document { .. } | FlowError::LeadsToLoopback { .. });
            assert!(expected, "{member} {bad} {error:?}");
            assert!(world.sent().iter().all(|line| line.starts_with("GET ")));
        }
    }
    let mut world = World::new();
    world.prm.1["authorization_servers"] = json!(["http://127.0.0.1:9"]);
    assert!(matches!(world.login(config()), Err(FlowError::LeadsToLoopback { .. })));
    assert!(matches!(
        login(config(), "http://rs.example", None, None),
        Err(FlowError::ServerUrl(_))
    ));
}

#[test]
fn c_authz_1_c_authz_3_the_request_carries_pkce_and_the_resource() {
    let mut world = World::new();
    let seen = std::rc::Rc::new(RefCell::new(String::new()));
    let (log, answer) = (seen.clone(), World::new().callback);
    world.callback = Box::new(move |url| {
        *log.borrow_mut() = url.to_owned();
        answer(url)
    });
    world.login(config()).unwrap();
    let url = seen.borrow();
    assert_eq!(query(&url, "resource").as_deref(), Some(MCP));
    assert_eq!(query(&url, "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(query(&url, "scope"), None);
    let verifier = CodeVerifier::parse(&world.token_form("code_verifier").unwrap()).unwrap();
    let challenge = CodeChallenge::parse(&query(&url, "code_challenge").unwrap()).unwrap();
    assert!(challenge.matches(&verifier));
    assert_ne!(query(&url, "state").as_deref(), world.token_form("code_verifier").as_deref());
    assert_eq!(world.token_form("code").as_deref(), Some("the-code"));
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
}

#[test]
fn c_authz_2_sec_045_no_browser_without_s256() {
    for methods in [Value::Null, json!(["plain"]), json!([])] {
        let mut world = World::new();
        world.metadata.1["code_challenge_methods_supported"] = methods;
        world.callback = Box::new(|_| unreachable!("no browser"));
        assert!(matches!(world.login(config()), Err(FlowError::NoS256 { .. })));
    }
}

#[test]
fn c_iss_6_c_authz_5_sec_001_sec_011_sec_018_a_callback_that_is_not_ours_sends_no_token_request() {
    for (callback, rejection) in [
        ("code=c&state=STATE&iss=https://evil.example", Rejection::IssuerMismatch),
        (
            "error=call+555&error_description=CANARY&state=STATE&iss=https://evil.example",
            Rejection::IssuerMismatch,
        ),
        ("code=c&state=STATE", Rejection::IssuerMissing),
        ("code=c&state=x&iss=https://as.example", Rejection::StateMismatch),
        ("code=c&iss=https://as.example", Rejection::StateMismatch),
        ("code=c&code=d&state=STATE&iss=https://as.example", Rejection::Repeated("code")),
    ] {
        let mut world = World::new();
        world.callback = Box::new(|url| {
            callback.replace("STATE", &query(url, "state").unwrap()).replacen(
                "",
                "http://127.0.0.1/cb?",
                1,
            )
        });
        let error = world.login(config()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        match error {
            FlowError::Callback(rejected) => assert_eq!(rejected, rejection),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.token_requests(), 0, "{callback}");
    }
}

#[test]
fn c_authz_6_sec_021_a_login_survives_the_browser_for_ten_minutes() {
    let world = World::new();
    let mut step = login(config(), MCP, None, None).unwrap();
    let visit = loop {
        step = match step {
            Step::Visit(visit) => break visit,
            Step::Exchange(exchange) => {
                let response = world.answer(exchange.request());
                exchange.resume(Ok(response), NOW).unwrap()
            }
            Step::Recall(recall) => recall.resume(None, NOW).unwrap(),
            Step::Randomize(draw) => draw.resume(Entropy::new([1; 32]), Entropy::new([2; 32]), NOW),
            Step::Save(save) => save.saved(),
            other => panic!("{other:?}"),
        }
    };
    let callback = (world.callback)(visit.url());
    let pending = visit.into_pending();
    assert!(!format!("{pending:?}").contains("AQEB"), "the state is secret");
    let sealed = serde_json::to_string(&pending).unwrap();
    for (later, ok) in [(599, true), (600, false)] {
        let pending: client_flow::PendingAuthorization = serde_json::from_str(&sealed).unwrap();
        let now = UnixTime::from_secs(NOW.as_secs() + later);
        let resumed = pending.resume(Callback::from_url(&callback), now);
        assert_eq!(matches!(resumed, Ok(Step::Exchange(_))), ok);
        assert_eq!(matches!(resumed, Err(FlowError::CallbackTooLate)), !ok);
    }
}

#[test]
fn c_reg_1_c_reg_3_c_reg_7_registration_says_what_the_client_is() {
    let world = World::new();
    world.login(config()).unwrap();
    let sent = world.sent.borrow();
    let request = sent.iter().find(|request| request.method() == Method::POST).unwrap();
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["application_type"], "native");
    assert_eq!(body["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(body["token_endpoint_auth_method"], "none");
    assert_eq!(body["redirect_uris"], json!(["http://127.0.0.1/cb"]));
}

#[test]
fn c_reg_1_c_reg_2_a_metadata_document_comes_before_registration_where_it_is_supported() {
    let url = "https://client.example/meta.json";
    let mut with_document = config();
    with_document.metadata_url = Some(ClientMetadataUrl::parse(url).unwrap());
    let mut world = World::new();
    world.login(with_document.clone()).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("c1"));
    world.metadata.1["client_id_metadata_document_supported"] = true.into();
    world.login(with_document).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some(url));
}

#[test]
fn c_reg_5_c_disc_8_credentials_of_one_issuer_are_never_shown_to_another() {
    let known = |id| client_auth::ClientCredentials::public(ClientId::parse(id).unwrap());
    let mut with_credentials = config();
    with_credentials.pre_registered = vec![
        (Issuer::parse("https://other.example").unwrap(), known("other")),
        (Issuer::parse("https://as.example").unwrap(), known("right")),
    ];
    let world = World::new();
    world.login(with_credentials.clone()).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("right"));
    with_credentials.pre_registered.pop();
    world.login(with_credentials).unwrap();
    assert_eq!(world.token_form("client_id").as_deref(), Some("c1"));
}

#[test]
fn c_disc_8_a_kept_registration_is_used_again() {
    let mut world = World::new();
    world.login(config()).unwrap();
    world.kept = world.saved.borrow().first().cloned();
    world.sent.borrow_mut().clear();
    world.login(config()).unwrap();
    assert!(!world.sent().iter().any(|line| line.ends_with("/register")));
}

#[test]
fn c_reg_4_a_refused_registration_surfaces_everything() {
    let mut world = World::new();
    world.register =
        (400, json!({"error": "invalid_redirect_uri", "error_description": "no\u{1b}"}));
    match world.login(config()).unwrap_err() {
        FlowError::RegistrationRejected { status, error, sent } => {
            assert_eq!(status, StatusCode::BAD_REQUEST);
            let error = error.unwrap();
            assert_eq!(error.error.as_str(), "invalid_redirect_uri");
            assert_eq!(error.error_description.unwrap().as_str(), "no ");
            assert_eq!(sent.client_name.as_deref(), Some("Test"));
        }
        other => panic!("{other:?}"),
    }
    world.metadata.1.as_object_mut().unwrap().remove("registration_endpoint");
    assert!(matches!(world.login(config()), Err(FlowError::NoRegistration { .. })));
}

#[test]
fn c_scope_1_c_scope_3_sec_212_which_scopes_are_asked_for() {
    let set = |text: &str| ScopeSet::parse(text).unwrap();
    for (challenged, listed, held, server_lists, expected) in [
        (Some("r"), Some(json!(["a", "b"])), None, json!(null), Some("r")),
        (None, Some(json!(["a", "b"])), None, json!(null), Some("a b")),
        (None, None, None, json!(null), None),
        (None, None, None, json!(["x"]), None),
        (Some("r"), None, None, json!(["offline_access"]), Some("r offline_access")),
        (Some("c"), None, Some("a b"), json!(null), Some("a b c")),
    ] {
        let mut world = World::new();
        world.prm.1["scopes_supported"] = listed.unwrap_or_default();
        world.metadata.1["scopes_supported"] = server_lists;
        let challenge =
            BearerChallenge { scope: challenged.map(set), ..BearerChallenge::default() };
        let step = login(config(), MCP, Some(&challenge), held.map(set)).unwrap();
        let session = world.drive(step).unwrap();
        // C-TOKEN-5, sec_106: the answer omits scope, so what was requested is granted.
        let granted = session.tokens().granted.as_ref().map(ScopeSet::as_str);
        assert_eq!(granted, expected);
    }
}

#[test]
fn c_token_4_sec_105_what_the_token_endpoint_refuses_or_garbles() {
    for (status, body) in [
        (400, json!({"error": "invalid_grant"})),
        (200, json!({"error": "invalid_grant", "access_token": "x", "token_type": "bearer"})),
    ] {
        let mut world = World::new();
        world.token = (status, body);
        assert!(matches!(world.login(config()), Err(FlowError::Token(_))));
        // Never a second post of the same code.
        assert_eq!(world.token_requests(), 1);
    }
    for (status, body) in
        [(200, json!("<html>")), (200, json!({"access_token": "x"})), (307, json!({}))]
    {
        let mut world = World::new();
        world.token = (status, body);
        let error = world.login(config()).unwrap_err();
        assert!(matches!(error, FlowError::Document { .. } | FlowError::Status { .. }));
    }
}

#[test]
fn c_token_6_sec_185_refresh_keeps_the_old_token_or_takes_the_new_one() {
    let mut world = World::new();
    world.token.1["refresh_token"] = "r1".into();
    world.token.1["scope"] = "a".into();
    let session = world.login(config()).unwrap();
    world
        .token
        .1
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name != "refresh_token" && name != "scope");
    let session = world.drive(session.refresh().unwrap()).unwrap();
    assert_eq!(session.tokens().refresh_token.as_ref().unwrap().expose(), "r1");
    assert_eq!(session.tokens().granted.as_ref().unwrap().as_str(), "a");
    assert_eq!(world.token_form("refresh_token").as_deref(), Some("r1"));
    assert_eq!(world.token_form("resource").as_deref(), Some(MCP));
    world.token.1["refresh_token"] = "r2".into();
    let session = world.drive(session.refresh().unwrap()).unwrap();
    assert_eq!(session.tokens().refresh_token.as_ref().unwrap().expose(), "r2");
    world.saves.set(false);
    assert!(matches!(world.drive(session.refresh().unwrap()), Err(FlowError::NotSaved)));
}

#[test]
fn c_token_9_the_token_goes_to_its_origin_only() {
    let session = World::new().login(config()).unwrap();
    assert_eq!(session.authorization("https://rs.example/other").unwrap(), "Bearer at");
    assert!(session.authorization("https://rs.example/other").unwrap().is_sensitive());
    for url in
        ["https://evil.example/mcp", "http://rs.example/mcp", "https://rs.example:8443/mcp", "x"]
    {
        assert!(session.authorization(url).is_none(), "{url}");
    }
}

#[test]
fn c_token_10_sec_192_nothing_prints_a_token() {
    let mut world = World::new();
    world.token.1 =
        json!({"access_token": "canary", "refresh_token": "canary", "token_type": "bearer"});
    let session = world.login(config()).unwrap();
    assert!(!format!("{session:?} {:?}", session.to_record()).contains("canary"));
    let step = session.refresh().unwrap();
    assert!(!format!("{step:?}").contains("canary"));
}

#[test]
fn a_failing_network_names_the_request() {
    let Step::Exchange(exchange) = login(config(), MCP, None, None).unwrap() else { panic!() };
    let error = exchange.resume(Err(TransportFailed::Timeout), NOW).unwrap_err();
    assert_eq!(error.to_string(), "protected resource metadata: no answer came in time");
}
