-- Only digests of codes, tokens and secrets are stored. Times are seconds since 1970. Clients that are known by a
-- document have no row, so nothing refers to one.

CREATE TABLE clients (
    client_id      TEXT NOT NULL PRIMARY KEY,
    authentication TEXT NOT NULL, -- JSON
    redirect_uris  TEXT NOT NULL, -- JSON
    metadata       TEXT NOT NULL, -- JSON
    registered_at  INTEGER NOT NULL,
    unused_until   INTEGER
) STRICT;
CREATE INDEX clients_unused_until ON clients (unused_until) WHERE unused_until IS NOT NULL;

-- To count a million clients at each registration would take too long.
CREATE TABLE counters (
    name  TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('clients', 0);
CREATE TRIGGER client_added AFTER INSERT ON clients BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'clients';
END;
CREATE TRIGGER client_removed AFTER DELETE ON clients BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'clients';
END;

CREATE TABLE families (
    id           BLOB NOT NULL PRIMARY KEY,
    client_id    TEXT NOT NULL,
    subject      TEXT NOT NULL,
    resource     TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    idle_until   INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    rotated_at   INTEGER NOT NULL,
    jkt          BLOB,
    revoked      INTEGER NOT NULL,
    needed_until INTEGER NOT NULL -- the end of the family, and of each of its tokens
) STRICT, WITHOUT ROWID;
CREATE INDEX families_needed_until ON families (needed_until);
CREATE INDEX families_client_id ON families (client_id);
CREATE INDEX families_subject ON families (subject, client_id);

CREATE TABLE codes (
    digest       BLOB NOT NULL PRIMARY KEY,
    client_id    TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    resource     TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    jkt          BLOB,
    redeemed     BLOB REFERENCES families (id), -- a used code has its family, and keeps it
    needed_until INTEGER NOT NULL -- the end of the code, and of its family
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_needed_until ON codes (needed_until);
CREATE INDEX codes_redeemed ON codes (redeemed) WHERE redeemed IS NOT NULL;
CREATE INDEX codes_client_id ON codes (client_id);
CREATE INDEX codes_subject ON codes (subject, client_id);

-- Without a reference to its family: needed_until says when nothing refers to one, and an index for SQLite to find out
-- would be as large as this table.
CREATE TABLE access (
    digest     BLOB NOT NULL PRIMARY KEY,
    family     BLOB NOT NULL,
    scopes     TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    jkt        BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX access_expires_at ON access (expires_at);

CREATE TABLE consents (
    key       BLOB NOT NULL PRIMARY KEY,
    subject   TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scopes    TEXT NOT NULL,
    metadata  BLOB NOT NULL,
    until     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_until ON consents (until);
CREATE INDEX consents_client_id ON consents (client_id);
CREATE INDEX consents_subject ON consents (subject, client_id);

CREATE TABLE once (
    key   BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX once_until ON once (until);

-- Where the health check writes.
CREATE TABLE checks (
    room BLOB NOT NULL
) STRICT;
