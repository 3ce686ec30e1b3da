//! Addresses that requests to another issuer may reach, and the reasons for which one fails.

use super::*;

fn server(issuer: &str) -> RemoteServer {
    RemoteServer::new(Issuer::parse(issuer).unwrap()).unwrap()
}

#[tokio::test]
async fn a_public_server_leads_to_no_local_address() {
    let server = server("https://as.example");
    for url in [
        "http://127.0.0.1:1/jwks",
        "http://localhost:1/jwks",
        "https://10.0.0.1/jwks",
        "https://169.254.169.254/jwks",
        "https://[::1]:1/jwks",
    ] {
        let url = EndpointUrl::parse(url).unwrap();
        let refused = server.get(&url).await.unwrap_err();
        assert_eq!(refused, Unreachable::LocalAddress, "{url}");
    }
    // A name that leads home.
    let found = server.reach.resolve("localhost".parse().unwrap()).await;
    assert!(found.is_err_and(|error| error.is::<LeadsHome>()));
}

#[tokio::test]
async fn a_server_on_the_own_network_may_lead_there() {
    let own = Issuer::parse("https://as.example").unwrap();
    let own = RemoteServer::on_own_network(own, b"").unwrap();
    for server in [server("http://127.0.0.1:1"), server("http://localhost:1"), own] {
        assert!(server.reach.resolve("localhost".parse().unwrap()).await.is_ok());
        let url = EndpointUrl::parse("http://127.0.0.1:1/jwks").unwrap();
        assert_eq!(server.get(&url).await.unwrap_err(), Unreachable::NoConnection);
    }
    // The name that the configuration gives may lead anywhere, in any case of letters.
    let public = server("https://as.example");
    let lead = EndpointUrl::parse("https://localhost:1/jwks").unwrap();
    public.admit(&lead);
    assert!(public.reach.resolve("LOCALHOST".parse().unwrap()).await.is_ok());
    assert_eq!(public.get(&lead).await.unwrap_err(), Unreachable::NoConnection);
    let other = EndpointUrl::parse("http://127.0.0.1:1/jwks").unwrap();
    assert_eq!(public.get(&other).await.unwrap_err(), Unreachable::LocalAddress);
}

#[tokio::test]
async fn the_log_tells_why_there_is_no_answer() {
    let server = server("https://as.example");
    // What a resolver says is somewhere below what the client says.
    let http = Client::builder().no_proxy().dns_resolver(Arc::new(server.reach.clone()));
    let http = http.build().unwrap();
    let error = http.get("http://localhost:1/").send().await.unwrap_err();
    assert_eq!(Unreachable::of(&error), Unreachable::LocalAddress);
    let error = http.get("http://127.0.0.1:1/").send().await.unwrap_err();
    assert_eq!(Unreachable::of(&error), Unreachable::NoConnection);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    let error = http.get(silent).timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert_eq!(Unreachable::of(&error), Unreachable::NoAnswer);
}
