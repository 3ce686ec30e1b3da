-- Only digests of codes, tokens and secrets are stored. Times are seconds since 1970. Users may be called anything, so
-- subjects are bytes: convert_from(subject, 'UTF8') shows one that holds no NUL. Clients that are known by a document
-- have no row, so nothing refers to one.

-- Which of our schemas this is.
CREATE TABLE label (
    application TEXT NOT NULL,
    version     INTEGER NOT NULL
);

CREATE TABLE clients (
    client_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    authentication TEXT NOT NULL, -- JSON
    redirect_uris  TEXT NOT NULL, -- JSON
    metadata       TEXT NOT NULL, -- JSON
    registered_at  BIGINT NOT NULL,
    unused_until   BIGINT
);
CREATE INDEX clients_unused_until ON clients (unused_until) WHERE unused_until IS NOT NULL;

-- To count a million clients at each registration would take too long. Whoever adds or removes clients locks the row
-- first, so that nobody waits in a circle.
CREATE TABLE counters (
    name  TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters VALUES ('clients', 0);
CREATE FUNCTION count_clients() RETURNS trigger LANGUAGE plpgsql SET search_path = mcp_oauth AS $$
DECLARE
    changed BIGINT;
BEGIN
    SELECT count(*) INTO changed FROM changed_clients;
    IF changed > 0 THEN
        UPDATE counters SET value = value + CASE TG_OP WHEN 'INSERT' THEN changed ELSE -changed END
        WHERE name = 'clients';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER client_added AFTER INSERT ON clients REFERENCING NEW TABLE AS changed_clients
    FOR EACH STATEMENT EXECUTE FUNCTION count_clients();
CREATE TRIGGER client_removed AFTER DELETE ON clients REFERENCING OLD TABLE AS changed_clients
    FOR EACH STATEMENT EXECUTE FUNCTION count_clients();

CREATE TABLE families (
    id           BYTEA NOT NULL PRIMARY KEY,
    client_id    TEXT COLLATE "C" NOT NULL,
    subject      BYTEA NOT NULL,
    resource     TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    idle_until   BIGINT NOT NULL,
    generation   BIGINT NOT NULL,
    rotated_at   BIGINT NOT NULL,
    jkt          BYTEA,
    revoked      BOOLEAN NOT NULL,
    needed_until BIGINT NOT NULL -- the end of the family, and of each of its tokens
);
CREATE INDEX families_needed_until ON families (needed_until);
CREATE INDEX families_client_id ON families (client_id);
CREATE INDEX families_subject ON families USING hash (subject);

CREATE TABLE codes (
    digest       BYTEA NOT NULL PRIMARY KEY,
    client_id    TEXT COLLATE "C" NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    resource     TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    subject      BYTEA NOT NULL,
    expires_at   BIGINT NOT NULL,
    jkt          BYTEA,
    redeemed     BYTEA REFERENCES families (id), -- a used code has its family, and keeps it
    needed_until BIGINT NOT NULL -- the end of the code, and of its family
);
CREATE INDEX codes_needed_until ON codes (needed_until);
CREATE INDEX codes_redeemed ON codes (redeemed) WHERE redeemed IS NOT NULL;
CREATE INDEX codes_client_id ON codes (client_id);
CREATE INDEX codes_subject ON codes USING hash (subject);

-- Without a reference to its family: needed_until says when nothing refers to one, and an index for PostgreSQL to find
-- out would be as large as this table.
CREATE TABLE access (
    digest     BYTEA NOT NULL PRIMARY KEY,
    family     BYTEA NOT NULL,
    scopes     TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    jkt        BYTEA
);
CREATE INDEX access_expires_at ON access (expires_at);

CREATE TABLE consents (
    key       BYTEA NOT NULL PRIMARY KEY,
    subject   BYTEA NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    scopes    TEXT NOT NULL,
    metadata  BYTEA NOT NULL,
    until     BIGINT NOT NULL
);
CREATE INDEX consents_until ON consents (until);
CREATE INDEX consents_client_id ON consents (client_id);
CREATE INDEX consents_subject ON consents USING hash (subject);

CREATE TABLE once (
    key   BYTEA NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE INDEX once_until ON once (until);

-- The latest end of a key that was forgotten: a clock that ran ahead and is set right shows none of them anew.
CREATE TABLE forgotten (
    until BIGINT NOT NULL
);
INSERT INTO forgotten VALUES (0);

-- Where the health check writes.
CREATE TABLE checks (
    room BYTEA NOT NULL
);
