//! Encrypted connections, and whom they lead to.

use core::error::Error as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use authorization_server::Store as _;
use cluster::Cluster;
use mcp_authz_postgres::{OpenError, PostgresStore};

use crate::samples::*;

/// Vouches for `server.pem`, which is a server's that is called `localhost` and 127.0.0.1.
const ROOT: &str = include_str!("../keys/root.pem");

/// A server that takes encrypted connections, too.
fn encrypted() -> Cluster {
    let cluster = Cluster::start().unwrap();
    let owner = fs::metadata(cluster.data()).unwrap();
    for (name, text) in [
        ("server.crt", include_str!("../keys/server.pem")),
        ("server.key", include_str!("../keys/server.key.pem")),
    ] {
        let file = cluster.data().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
    cluster.shut_down().unwrap();
    cluster.start_again().unwrap();
    cluster
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_encrypted_connection_reaches_the_right_server_or_none() {
    run(async {
        let cluster = encrypted();
        let url = |host: &str, options: &str| {
            format!("{}?{options}", cluster.url().replace("127.0.0.1", host))
        };
        let trusting = settings().with_root_certificates(ROOT);
        for mode in ["require", "verify-full"] {
            for host in ["127.0.0.1", "localhost"] {
                let url = url(host, &format!("hostaddr=127.0.0.1&sslmode={mode}"));
                let store = PostgresStore::open(&url, &trusting).await.unwrap();
                store.insert_code(code(1)).await.unwrap();
                assert_eq!(store.check().await, Ok(()));
                let how = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'mcp-authz'";
                assert_eq!(cluster.sql("postgres", how).unwrap().trim(), "t");
            }
        }
        // Another's name, and a certificate that nobody vouches for.
        let other = url("db.example", "hostaddr=127.0.0.1&sslmode=require");
        let here = url("localhost", "sslmode=require");
        for (url, settings) in [(&other, &trusting), (&here, &settings())] {
            let refused = PostgresStore::open(url, settings).await.unwrap_err();
            assert!(matches!(refused, OpenError::Postgres(_)), "{refused}");
            let cause = refused.source().unwrap().to_string();
            assert!(cause.contains("TLS"), "{cause}");
        }
        let broken = settings().with_root_certificates("no certificate");
        let refused = PostgresStore::open(&here, &broken).await.unwrap_err();
        assert!(matches!(refused, OpenError::Certificates));
        // Over the loopback interface nothing is encrypted that nobody asked for.
        drop(PostgresStore::open(&cluster.url(), &settings()).await.unwrap());
    });
}

/// The URL asks for encryption.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_cannot_encrypt_gets_no_password() {
    run(async {
        let url = Cluster::shared().url();
        let url = format!("{}?hostaddr=127.0.0.1", url.replace("127.0.0.1", "db.example"));
        let trusting = settings().with_root_certificates(ROOT);
        let refused = PostgresStore::open(&format!("{url}&sslmode=require"), &trusting).await;
        assert!(matches!(refused, Err(OpenError::Postgres(_))));
        // It is this machine's own.
        drop(PostgresStore::open(&url, &settings()).await.unwrap());
    });
}
