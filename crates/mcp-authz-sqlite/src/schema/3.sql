-- Digests and identifiers are random: a table in their order has each new row on a page of its own, and so has each
-- index that ends in them. In the order in which they come, the rows of one commit share their pages.

DROP INDEX families_needed_until;
DROP INDEX families_client_id;
DROP INDEX families_subject;
DROP INDEX codes_needed_until;
DROP INDEX codes_redeemed;
DROP INDEX codes_client_id;
DROP INDEX codes_subject;
DROP INDEX access_expires_at;
ALTER TABLE families RENAME TO old_families;
ALTER TABLE codes RENAME TO old_codes;
ALTER TABLE access RENAME TO old_access;

CREATE TABLE families (
    number       INTEGER NOT NULL PRIMARY KEY,
    id           BLOB NOT NULL,
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
) STRICT;

CREATE TABLE codes (
    digest       BLOB NOT NULL,
    client_id    TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    resource     TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    jkt          BLOB,
    redeemed     INTEGER REFERENCES families -- a used code has its family, and stays as long as it
) STRICT;

-- The number of a family that is gone may be given again, so a token names its family by what never is.
CREATE TABLE access (
    digest     BLOB NOT NULL,
    family     BLOB NOT NULL,
    scopes     TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    jkt        BLOB
) STRICT;

INSERT INTO families
    (id, client_id, subject, resource, scopes, expires_at, idle_until, generation, rotated_at, jkt, revoked,
     needed_until)
    SELECT id, client_id, subject, resource, scopes, expires_at, idle_until, generation, rotated_at, jkt, revoked,
        needed_until
    FROM old_families ORDER BY needed_until;
CREATE UNIQUE INDEX families_id ON families (id);
INSERT INTO codes
    (digest, client_id, redirect_uri, challenge, resource, scopes, subject, expires_at, jkt, redeemed)
    SELECT digest, client_id, redirect_uri, challenge, resource, scopes, subject, expires_at, jkt,
        (SELECT number FROM families WHERE id = redeemed)
    FROM old_codes WHERE redeemed IS NULL OR redeemed IN (SELECT id FROM families) ORDER BY needed_until;
INSERT INTO access (digest, family, scopes, expires_at, jkt)
    SELECT digest, family, scopes, expires_at, jkt FROM old_access ORDER BY expires_at;
DROP TABLE old_access;
DROP TABLE old_codes;
DROP TABLE old_families;

CREATE INDEX families_needed_until ON families (needed_until);
CREATE INDEX families_client_id ON families (client_id);
CREATE INDEX families_subject ON families (subject, client_id);
CREATE UNIQUE INDEX codes_digest ON codes (digest);
CREATE INDEX codes_expires_at ON codes (expires_at) WHERE redeemed IS NULL;
CREATE INDEX codes_redeemed ON codes (redeemed) WHERE redeemed IS NOT NULL;
CREATE INDEX codes_client_id ON codes (client_id);
CREATE INDEX codes_subject ON codes (subject, client_id);
CREATE UNIQUE INDEX access_digest ON access (digest);
CREATE INDEX access_expires_at ON access (expires_at);
