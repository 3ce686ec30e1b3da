-- What no statement searches, compares or expires stands in one column, as JSON with a version, which the library reads:
-- a new fact needs no new schema. Digests in it are lower-case hexadecimal digits. json_quote keeps a damaged text within
-- its member, where the library refuses it.

ALTER TABLE clients ADD COLUMN body TEXT NOT NULL DEFAULT '';
UPDATE clients SET body = '{"v":1,"authentication":' || authentication || ',"redirect_uris":' || redirect_uris
    || ',"metadata":' || metadata || ',"registered_at":' || registered_at || '}';
ALTER TABLE clients DROP COLUMN authentication;
ALTER TABLE clients DROP COLUMN redirect_uris;
ALTER TABLE clients DROP COLUMN metadata;
ALTER TABLE clients DROP COLUMN registered_at;

ALTER TABLE consents ADD COLUMN body TEXT NOT NULL DEFAULT '';
UPDATE consents SET body = '{"v":1,"scopes":' || json_quote(scopes) || ',"metadata":"' || lower(hex(metadata)) || '"}';
ALTER TABLE consents DROP COLUMN scopes;
ALTER TABLE consents DROP COLUMN metadata;

-- A used code whose family somebody removed by hand is left behind: without it the code is unknown, as it was refused.
-- Large tables are copied once, in the order in which their rows came, instead of being written for each column.
DROP INDEX families_id;
DROP INDEX families_needed_until;
DROP INDEX families_client_id;
DROP INDEX families_subject;
DROP INDEX codes_digest;
DROP INDEX codes_expires_at;
DROP INDEX codes_redeemed;
DROP INDEX codes_client_id;
DROP INDEX codes_subject;
DROP INDEX access_digest;
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
    expires_at   INTEGER NOT NULL,
    idle_until   INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    rotated_at   INTEGER NOT NULL,
    revoked      INTEGER NOT NULL,
    needed_until INTEGER NOT NULL, -- the end of the family, and of each of its tokens
    body         TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE codes (
    digest     BLOB NOT NULL,
    client_id  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    redeemed   INTEGER REFERENCES families, -- a used code has its family, and stays as long as it
    body       TEXT NOT NULL -- JSON
) STRICT;

-- The number of a family that is gone may be given again, so a token names its family by what never is.
CREATE TABLE access (
    digest     BLOB NOT NULL,
    family     BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    body       TEXT NOT NULL -- JSON
) STRICT;

INSERT INTO access
    SELECT digest, family, expires_at, '{"v":1,"scopes":' || json_quote(scopes)
            || CASE WHEN jkt IS NULL THEN '' ELSE ',"jkt":"' || lower(hex(jkt)) || '"' END || '}'
    FROM old_access ORDER BY rowid;
DROP TABLE old_access;
INSERT INTO families
    SELECT number, id, client_id, subject, resource, expires_at, idle_until, generation, rotated_at, revoked,
        needed_until, '{"v":1,"scopes":' || json_quote(scopes)
            || CASE WHEN jkt IS NULL THEN '' ELSE ',"jkt":"' || lower(hex(jkt)) || '"' END || '}'
    FROM old_families ORDER BY number;
INSERT INTO codes
    SELECT digest, client_id, subject, expires_at, redeemed,
        '{"v":1,"redirect_uri":' || json_quote(redirect_uri) || ',"challenge":' || json_quote(challenge)
            || ',"resource":' || json_quote(resource) || ',"scopes":' || json_quote(scopes)
            || CASE WHEN jkt IS NULL THEN '' ELSE ',"jkt":"' || lower(hex(jkt)) || '"' END || '}'
    FROM old_codes WHERE redeemed IS NULL OR redeemed IN (SELECT number FROM old_families) ORDER BY rowid;
DROP TABLE old_codes;
DROP TABLE old_families;

CREATE UNIQUE INDEX families_id ON families (id);
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
