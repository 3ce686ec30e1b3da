//! Database server: connecting to it, and the checks that it is safe to use.

use core::time::Duration;

use deadpool_postgres::{
    ConfigConnectImpl, Connect, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod,
    Runtime,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::{Client, Config, NoTls};

use crate::failure::Failure;
use crate::guard::Plain;
use crate::open_error::OpenError;
use crate::schema;
use crate::schema::SCHEMA;
use crate::session::Session;
use crate::settings::Settings;
#[cfg(feature = "rustls")]
use crate::tls;
use crate::url::configure;

/// Longest life of a connection.
///
/// Only new connections are inspected, and the settings of the server may change.
const LIFETIME: Duration = Duration::from_secs(60);
/// Oldest version of PostgreSQL with what the statements need, as `server_version_num`.
const OLDEST: i32 = 130_000;

/// Database that passed the checks.
pub(crate) struct Opened {
    /// Connections for all operations of the store.
    pub(crate) pool: Pool,
    /// `true` if there are families, whose users new keys would log out.
    pub(crate) has_families: bool,
}

/// Connects to the server that the URL names, over TLS unless that is off, and migrates the schema.
pub(crate) async fn open(url: &str, settings: &Settings) -> Result<Opened, OpenError> {
    let mut config = configure(url, settings)?;
    if config.get_ssl_mode() == SslMode::Disable {
        // The driver accepts a guard only in place of TLS; over a Unix socket there is none.
        if has_names(&config) {
            config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
            return open_over(ConfigConnectImpl { tls: Plain }, config, settings).await;
        }
        return open_over(ConfigConnectImpl { tls: NoTls }, config, settings).await;
    }
    #[cfg(feature = "rustls")]
    return open_over(ConfigConnectImpl { tls: tls::connector(settings)? }, config, settings).await;
    #[cfg(not(feature = "rustls"))]
    Err(OpenError::NeedsTls)
}

fn has_names(config: &Config) -> bool {
    let hosts = config.get_hosts();
    !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Tcp(_)))
}

/// Inspects the server, migrates the schema, and makes the pool of connections.
async fn open_over(
    connect: impl Connect + 'static,
    config: Config,
    settings: &Settings,
) -> Result<Opened, OpenError> {
    let begin = async {
        let (client, connection) = connect.connect(&config).await?;
        let connection = AbortOnDrop(connection);
        if inspect(&client, settings).await? == Takes::Questions {
            return Err(OpenError::ReadOnly);
        }
        Ok((client, connection))
    };
    let late = |_| OpenError::Late;
    let (mut client, connection) = timeout(settings.timeout(), begin).await.map_err(late)??;
    schema::migrate(&mut client).await?;
    let families = client.query_one("SELECT EXISTS (SELECT FROM families)", &[]);
    let has_families = timeout(settings.timeout(), families).await.map_err(late)??.try_get(0)?;
    drop(connection);
    let recycling_method = RecyclingMethod::Fast;
    let manager = Manager::from_connect(config, connect, ManagerConfig { recycling_method });
    let timeout = Some(settings.timeout());
    let pool = Pool::builder(manager)
        .max_size(settings.connections.max(1))
        .runtime(Runtime::Tokio1)
        .wait_timeout(timeout)
        .create_timeout(timeout)
        .recycle_timeout(timeout)
        .post_create(inspect_each(settings.clone()))
        .pre_recycle(Hook::sync_fn(|_, metrics| {
            let is_young = metrics.age() < LIFETIME;
            if is_young { Ok(()) } else { Err(HookError::message("it is old")) }
        }))
        .build()
        .map_err(|_| OpenError::Unfit("tokio does not run here: open the store in its runtime"))?;
    Ok(Opened { pool, has_families })
}

/// Task that drives a connection, aborted on drop.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Inspects every connection before its first use.
///
/// The server may have changed since the last connection was made.
fn inspect_each(settings: Settings) -> Hook {
    Hook::async_fn(move |client, _| {
        let settings = settings.clone();
        Box::pin(async move {
            // A server that is read only for now can still answer which tokens are valid.
            inspect(client, &settings).await.map(drop).map_err(|error| match error {
                OpenError::Postgres(error) => HookError::Backend(error),
                error => HookError::message(error.to_string()),
            })
        })
    })
}

/// Operations that a server accepts.
#[derive(PartialEq, Eq)]
enum Takes {
    Changes,
    /// The server is the primary, and read only for now.
    Questions,
}

/// Checks that the server is the primary and has the settings that every answer relies on.
///
/// Files, roles and poolers may set them otherwise. A standby is refused: it may be behind, and accept a token that was
/// revoked.
async fn inspect(client: &Client, settings: &Settings) -> Result<Takes, OpenError> {
    let are_as_asked: String = settings
        .timeouts()
        .iter()
        .map(|(name, milliseconds)| {
            format!(" AND current_setting('{name}')::interval = '{milliseconds} ms'")
        })
        .collect();
    let query = format!(
        "SELECT current_setting('server_version_num')::int, current_setting('fsync'), \
         current_setting('full_page_writes'), current_setting('synchronous_commit'), \
         pg_is_in_recovery(), current_setting('transaction_isolation'), \
         current_setting('server_encoding'), current_setting('transaction_read_only'), \
         current_setting('search_path') = '{SCHEMA}'{are_as_asked}"
    );
    let row = client.query_one(&query, &[]).await?;
    if row.try_get::<_, i32>(0)? < OLDEST {
        return Err(OpenError::Unfit(
            "the database server is older than PostgreSQL 13: upgrade it",
        ));
    }
    if row.try_get::<_, bool>(4)? {
        return Err(OpenError::ReadOnly);
    }
    for (column, setting) in [(1, "fsync"), (2, "full_page_writes")] {
        if row.try_get::<_, &str>(column)? != "on" {
            return Err(OpenError::Unsafe(setting));
        }
    }
    let is_as_asked = row.try_get::<_, &str>(3)? == settings.synchronous.name()
        && row.try_get::<_, &str>(5)? == "read committed"
        && row.try_get::<_, bool>(8)?;
    if !is_as_asked {
        return Err(OpenError::Unfit(
            "synchronous_commit, isolation, timeouts or schema are not as this connection set them: let the pooler between this server \
             and the database keep settings, and pass the startup parameter `options` on",
        ));
    }
    if row.try_get::<_, &str>(6)? != "UTF8" {
        return Err(OpenError::Unfit(
            "the encoding of the database is not UTF8: create a database with `ENCODING 'UTF8'`",
        ));
    }
    Ok(if row.try_get::<_, &str>(7)? == "on" { Takes::Questions } else { Takes::Changes })
}

/// Writes and deletes as much as a grant takes, as a health check.
pub(crate) async fn check(session: &mut Session) -> Result<(), Failure> {
    session.begin_transaction().await?;
    // As large as the rows of a grant, so that a full disk is noticed.
    for statement in [
        "INSERT INTO checks SELECT decode(string_agg(md5(n::text), ''), 'hex') \
         FROM generate_series(1, 1024) AS n",
        "DELETE FROM checks",
    ] {
        session.change(statement, &[]).await?;
    }
    session.commit().await
}
