//! Session: one connection for one operation, until a deadline.
//!
//! A connection returns to the pool if its operation succeeded. It is closed if the operation failed, was late or is no
//! longer awaited, so that no other operation waits behind it or reads its answer.

use core::future::Future;
use core::time::Duration;

use authorization_server::store::StoreError;
use deadpool_postgres::{HookError, Object, Pool, PoolError};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tracing::warn;

use crate::failure::{Changes, Failure};

/// Most attempts of a change that conflicts with another one.
const ATTEMPTS: usize = 4;

/// Longest time of a change to everything that a client or a user has, which may be many rows.
const PATIENCE: Duration = Duration::from_secs(300);

/// Values of `$1`, `$2` and so on.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Connection that one operation uses alone.
pub(crate) struct Session {
    client: Option<Object>,
    deadline: Instant,
    /// `true` while changes wait for a commit.
    is_in_transaction: bool,
    /// Progress of its changes.
    changes: Changes,
}

impl Session {
    pub(crate) async fn begin(pool: &Pool, deadline: Instant) -> Result<Self, StoreError> {
        match timeout_at(deadline, pool.get()).await {
            Ok(Ok(client)) => Ok(Self {
                client: Some(client),
                deadline,
                is_in_transaction: false,
                changes: Changes::None,
            }),
            // Only the code is logged, as elsewhere; the message of an inspection is this crate's own.
            Ok(Err(
                PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)),
            )) => {
                let code = error.code().map(SqlState::code);
                warn!(code, "the database refused a connection, or is gone");
                Err(StoreError::Unavailable)
            }
            Ok(Err(error)) => {
                warn!(%error, "there is no connection to the database");
                Err(StoreError::Unavailable)
            }
            Err(_) => {
                warn!("there is no connection to the database in time");
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Runs a query, and returns its one row if there is one.
    pub(crate) async fn find(
        &mut self,
        query: &str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Failure> {
        self.run(query, values).await
    }

    /// Makes a change, and returns its one row if there is one.
    ///
    /// The change is a transaction of its own, unless one was begun.
    pub(crate) async fn change(
        &mut self,
        statement: &str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Failure> {
        if self.is_in_transaction {
            return self.run(statement, values).await;
        }
        let mut attempt = 1;
        loop {
            match self.run_committing(statement, values).await {
                // It was rolled back.
                Err(failure) if failure.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                Err(failure) => return Err(failure),
                Ok(row) => {
                    self.changes = Changes::Done;
                    return Ok(row);
                }
            }
        }
    }

    /// Makes all of these changes or none, in this order, however many rows they concern.
    ///
    /// All are repeated when they conflict with another operation. Only the beginning has the deadline of other
    /// operations.
    pub(crate) async fn change_all(
        &mut self,
        statements: &[&str],
        values: Values<'_>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut attempt = 1;
        loop {
            self.begin_transaction().await?;
            match self.change_each(statements, values, deadline).await {
                Err(failure) if failure.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
            self.roll_back().await?;
        }
    }

    async fn change_each(
        &mut self,
        statements: &[&str],
        values: Values<'_>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let client = self.client.as_ref().ok_or(Failure::Late)?;
        let milliseconds = (PATIENCE * 4 / 5).as_millis();
        let patience = format!(
            "SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}"
        );
        in_time(self.deadline, client.batch_execute(&patience)).await?;
        self.deadline = deadline;
        for statement in statements {
            self.run(statement, values).await?;
        }
        self.commit().await
    }

    async fn run(&mut self, statement: &str, values: Values<'_>) -> Result<Option<Row>, Failure> {
        let client = self.client.as_ref().ok_or(Failure::Late)?;
        let prepared = in_time(self.deadline, client.prepare_cached(statement)).await?;
        in_time(self.deadline, client.query_opt(&prepared, values)).await
    }

    /// Runs a statement that is a transaction of its own.
    ///
    /// The outcome is unknown from the moment it is sent until it is answered.
    async fn run_committing(
        &mut self,
        statement: &str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Failure> {
        let client = self.client.as_ref().ok_or(Failure::Late)?;
        let prepared = in_time(self.deadline, client.prepare_cached(statement)).await?;
        self.changes = self.changes.max(Changes::Sent);
        in_time(self.deadline, client.query_opt(&prepared, values)).await
    }

    /// Begins a transaction for the following changes.
    pub(crate) async fn begin_transaction(&mut self) -> Result<(), Failure> {
        let client = self.client.as_ref().ok_or(Failure::Late)?;
        in_time(self.deadline, client.batch_execute("BEGIN")).await?;
        self.is_in_transaction = true;
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), Failure> {
        let client = self.client.as_ref().ok_or(Failure::Late)?;
        in_time(self.deadline, client.batch_execute("ROLLBACK")).await?;
        self.is_in_transaction = false;
        Ok(())
    }

    pub(crate) async fn commit(&mut self) -> Result<(), Failure> {
        let client = self.client.as_ref().ok_or(Failure::Late)?;
        self.changes = self.changes.max(Changes::Sent);
        in_time(self.deadline, client.batch_execute("COMMIT")).await?;
        self.is_in_transaction = false;
        self.changes = Changes::Done;
        Ok(())
    }

    /// Notes that the statement sent before had nothing to change.
    pub(crate) fn nothing_changed(&mut self) {
        self.changes = Changes::None;
    }

    /// Ends the operation, and translates a failure into the caller's error.
    ///
    /// On success, the connection returns to the pool.
    pub(crate) fn end<T>(mut self, outcome: Result<T, Failure>) -> Result<T, StoreError> {
        if outcome.is_ok() && !self.is_in_transaction {
            // The connection returns to the pool.
            drop(self.client.take());
        }
        outcome.map_err(|failure| failure.told(self.changes))
    }
}

impl Drop for Session {
    /// Closes a connection whose operation has not ended successfully.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

async fn in_time<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    Ok(timeout_at(deadline, answer).await.map_err(|_| Failure::Late)??)
}
