//! Connection settings: from the database URL to the parameters of every session.

use core::net::IpAddr;
use core::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::open_error::OpenError;
use crate::schema::SCHEMA;
use crate::settings::Settings;

/// Time without traffic after which a connection is probed (TCP keepalive).
const SILENCE: Duration = Duration::from_secs(30);

/// Parses the URL and adds the parameters that every session begins with.
///
/// They take precedence over what is set for the role or the database.
pub(crate) fn configure(url: &str, settings: &Settings) -> Result<Config, OpenError> {
    let mut config: Config = known(url).parse().map_err(|_| OpenError::Url)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(OpenError::Url);
    }
    if !is_of_one_kind(&config) {
        return Err(OpenError::Url);
    }
    // The driver guards and encrypts only hosts that have a name.
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    // `prefer` would let an attacker on the network remove the encryption.
    if config.get_ssl_mode() == SslMode::Prefer {
        let is_local = is_local(&config);
        config.ssl_mode(if is_local { SslMode::Disable } else { SslMode::Require });
    }
    let timeout = settings.timeout();
    let mut options = format!(
        "{} -c search_path={SCHEMA} -c synchronous_commit={} \
         -c default_transaction_isolation=read\\ committed -c jit=off",
        config.get_options().unwrap_or_default(),
        settings.synchronous.name(),
    );
    for (name, milliseconds) in settings.timeouts() {
        options.push_str(&format!(" -c {name}={milliseconds}"));
    }
    config.options(options.trim_start());
    if config.get_application_name().is_none() {
        config.application_name("mcp-authz");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(timeout);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(timeout * 2);
    }
    config.keepalives_idle(SILENCE);
    // Of several servers, the one that accepts changes.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    Ok(config)
}

/// Replaces libpq's names for verified TLS with `require`, because TLS is always verified here.
fn known(url: &str) -> String {
    let (before, options) = url.split_at(url.rfind('?').unwrap_or(url.len()));
    let options = options.replace("sslmode=verify-full", "sslmode=require");
    format!("{before}{}", options.replace("sslmode=verify-ca", "sslmode=require"))
}

/// Returns `true` if all hosts are sockets or all are TCP.
///
/// The two are guarded and encrypted in different ways.
fn is_of_one_kind(config: &Config) -> bool {
    let is_tcp = |host: &Host| matches!(host, Host::Tcp(_));
    let hosts = config.get_hosts();
    hosts.iter().all(is_tcp) || (config.get_hostaddrs().is_empty() && !hosts.iter().any(is_tcp))
}

/// Returns `true` if the connection stays on this machine.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        configure(url, &Settings::default()).unwrap().get_ssl_mode()
    }

    #[test]
    fn a_remote_connection_is_encrypted_unless_the_url_opts_out() {
        for local in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "%2Frun%2Fpostgresql"] {
            assert_eq!(mode(&format!("postgres://u:p@{local}/d")), SslMode::Disable, "{local}");
            let asked = format!("postgres://u:p@{local}/d?sslmode=require");
            assert_eq!(mode(&asked), SslMode::Require);
        }
        for far in ["db.example", "10.0.0.7", "localhost.example", "localhost,db.example", "[::2]"]
        {
            for asked in ["", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-full"] {
                assert_eq!(
                    mode(&format!("postgres://u@{far}/d{asked}")),
                    SslMode::Require,
                    "{far}"
                );
            }
            assert_eq!(mode(&format!("postgres://u@{far}/d?sslmode=disable")), SslMode::Disable);
        }
        // The address counts, even if the name says otherwise.
        let url = "postgres://u@localhost/d?hostaddr=10.0.0.7";
        assert_eq!(mode(url), SslMode::Require);
    }

    #[test]
    fn what_a_session_begins_with_stands_behind_what_the_url_says() {
        let url = "postgres://u@localhost/d?options=-c%20synchronous_commit%3Doff";
        let config = configure(url, &Settings::default()).unwrap();
        let options = config.get_options().unwrap();
        assert!(options.starts_with("-c synchronous_commit=off -c search_path"), "{options}");
        assert!(options.rfind("synchronous_commit=on") > options.rfind("synchronous_commit=off"));
    }

    /// SEC-207
    #[test]
    fn what_goes_over_tcp_has_a_name_and_is_not_mixed_with_sockets() {
        for url in [
            "postgres:///d?hostaddr=10.0.0.7&sslmode=disable",
            "postgres:///d?hostaddr=10.0.0.7,10.0.0.8&sslmode=disable",
            "postgres://u@db.example/d?hostaddr=10.0.0.7&sslmode=disable",
        ] {
            let config = configure(url, &Settings::default()).unwrap();
            assert!(config.get_hosts().iter().all(|host| matches!(host, Host::Tcp(_))), "{url}");
            assert_eq!(config.get_hosts().len(), config.get_hostaddrs().len(), "{url}");
        }
        for url in [
            "postgres://%2Frun%2Fpostgresql,db.example/d?sslmode=disable",
            "postgres://db.example,%2Frun%2Fpostgresql/d",
            "postgres://%2Frun%2Fpostgresql/d?hostaddr=10.0.0.7&sslmode=disable",
        ] {
            let refused = configure(url, &Settings::default()).unwrap_err();
            assert!(matches!(refused, OpenError::Url), "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        for url in ["", "canary", "postgres://u:canary@h:port/d", "postgres://h/d?canary=1"] {
            let refused = configure(url, &Settings::default()).unwrap_err();
            assert!(matches!(refused, OpenError::Url));
            assert!(!format!("{refused} {refused:?}").contains("canary"));
        }
    }
}
