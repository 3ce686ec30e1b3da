//! Addresses that requests to another issuer may reach.

use super::*;

fn server(issuer: &str) -> RemoteServer {
    RemoteServer::new(Issuer::parse(issuer).unwrap()).unwrap()
}

async fn failure(server: &RemoteServer, url: &str) -> HttpErrorKind {
    let url = EndpointUrl::parse(url).unwrap();
    match server.get(&url).await.unwrap_err() {
        Unreachable::Http(kind) => kind,
        other @ Unreachable::NotFound(_) => panic!("{other}"),
    }
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
        assert_eq!(failure(&server, url).await, HttpErrorKind::LocalAddress, "{url}");
    }
}

#[tokio::test]
async fn a_server_on_the_own_network_may_lead_there() {
    let own = Issuer::parse("https://as.example").unwrap();
    let own = RemoteServer::on_own_network(own, b"").unwrap();
    for server in [server("http://127.0.0.1:1"), server("http://localhost:1"), own] {
        for url in ["http://127.0.0.1:1/jwks", "http://localhost:1/jwks"] {
            assert_eq!(failure(&server, url).await, HttpErrorKind::Refused, "{url}");
        }
    }
    // The name that the configuration gives may lead anywhere, in any case of letters.
    let public = server("https://as.example");
    public.admit(&EndpointUrl::parse("https://LOCALHOST:1/jwks").unwrap());
    let lead = failure(&public, "https://localhost:1/jwks").await;
    assert_eq!(lead, HttpErrorKind::Refused);
    let other = failure(&public, "http://127.0.0.1:1/jwks").await;
    assert_eq!(other, HttpErrorKind::LocalAddress);
}
