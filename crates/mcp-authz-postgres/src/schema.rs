//! Database schema: its version label, and the migrations from earlier releases.

use core::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tracing::warn;

use crate::open_error::OpenError;

/// Name of the schema that holds all tables of this crate.
pub(crate) const SCHEMA: &str = "mcp_oauth";
/// Label that tells the tables of this crate from those of other programs.
const APPLICATION: &str = "mcp-oauth authorization server";
/// Advisory lock of processes that start at the same time ("MOAS").
const LOCK: i64 = 0x4D4F_4153;

/// Migrations, each from the version before it; the first starts from nothing.
///
/// A released migration is never changed: a later version gets a migration of its own.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Schema version that this release writes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "there are few migrations"
)]
const VERSION: i32 = MIGRATIONS.len() as i32;

/// First schema version that marks the clients of the operator (`of_operator`).
const OF_OPERATOR: usize = 3;

/// Longest wait for another process that migrates the schema or uses the tables.
const WAIT: Duration = Duration::from_secs(60);
/// Most attempts to lock the tables.
///
/// Another process, of an earlier release, may lock some of them in another order.
const ATTEMPTS: u32 = 3;

/// Migrates the schema to this release's version, in one transaction.
///
/// Of several processes, one migrates and the others wait.
///
/// Only waits are bounded. The steps take as long as the tables are large, because an aborted migration would leave a
/// database that no later attempt could migrate either.
pub(crate) async fn migrate(client: &mut Client) -> Result<(), OpenError> {
    let mut attempts = 1;
    loop {
        match attempt(client).await {
            Err(OpenError::Postgres(error))
                if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
                    && attempts < ATTEMPTS =>
            {
                attempts += 1;
            }
            Err(OpenError::Postgres(error))
                if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) =>
            {
                return Err(OpenError::Late);
            }
            outcome => return outcome,
        }
    }
}

async fn attempt(client: &mut Client) -> Result<(), OpenError> {
    let late = |_| OpenError::Late;
    // Only a look, so that a role that may only use the tables can start too.
    if timeout(WAIT, version(client)).await.map_err(late)?? == Some(VERSION) {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    let begin = format!(
        "SET LOCAL search_path = {SCHEMA}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {}",
        WAIT.as_millis()
    );
    transaction.batch_execute(&begin).await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    // Another process may have migrated it in the meantime, to the version of another release.
    let done = version(transaction.client()).await?;
    if done == Some(VERSION) {
        return Ok(());
    }
    match done {
        // All tables are locked before anything is changed, so that a deadlock with another process loses no work.
        Some(_) => {
            let tables =
                "LOCK TABLE clients, consents, families, codes, access IN ACCESS EXCLUSIVE MODE";
            transaction.batch_execute(tables).await?;
        }
        None if !exists(transaction.client()).await? => {
            transaction.batch_execute(&format!("CREATE SCHEMA {SCHEMA}")).await?;
        }
        None => {}
    }
    let steps = done.map_or(Ok(0), usize::try_from).map_err(|_| OpenError::NotAStore)?;
    for migration in MIGRATIONS.iter().skip(steps) {
        transaction.batch_execute(migration).await?;
    }
    if (1..OF_OPERATOR).contains(&steps) {
        let unmarked = "SELECT count(*) FROM clients WHERE unused_until IS NULL AND NOT of_operator \
             AND strpos(body, '\"scope\":\"') > 0";
        let clients: i64 = transaction.query_one(unmarked, &[]).await?.try_get(0)?;
        if clients > 0 {
            warn!(
                clients,
                "clients look as if they had registered themselves, and their registered scope bounds no grant any \
                 more: if the operator put one of them into the store, set its of_operator as the README says"
            );
        }
    }
    let label = match done {
        None => "INSERT INTO label (application, version) VALUES ($1, $2)",
        Some(_) => "UPDATE label SET version = $2 WHERE application = $1",
    };
    transaction.execute(label, &[&APPLICATION, &VERSION]).await?;
    Ok(transaction.commit().await?)
}

async fn exists(client: &Client) -> Result<bool, OpenError> {
    let row = client.query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&SCHEMA]).await?;
    Ok(row.try_get(0)?)
}

/// Returns the version of the tables, or `None` if there are none.
async fn version(client: &Client) -> Result<Option<i32>, OpenError> {
    let others = "SELECT count(*), count(*) FILTER (WHERE relname = 'label') FROM pg_class \
         WHERE relnamespace = to_regnamespace($1)";
    let row = client.query_one(others, &[&SCHEMA]).await?;
    match (row.try_get(0)?, row.try_get(1)?) {
        (0_i64, _) => return Ok(None),
        (_, 0_i64) => return Err(OpenError::NotAStore),
        _ => {}
    }
    // As JSON, so that another program's table of that name can be read too, whatever its columns are.
    let label = format!(
        "SELECT to_jsonb(label) ->> 'version' FROM {SCHEMA}.label \
         WHERE to_jsonb(label) ->> 'application' = $1"
    );
    let row = client.query_opt(&label, &[&APPLICATION]).await?.ok_or(OpenError::NotAStore)?;
    let found: Option<&str> = row.try_get(0)?;
    let found = found.and_then(|found| found.parse().ok()).ok_or(OpenError::NotAStore)?;
    if found > VERSION {
        return Err(OpenError::NewerSchema { found, known: VERSION });
    }
    Ok(Some(found))
}
