-- Kinds of what counts once: 0 for answers to consent pages, 1 for token requests, 2 for proofs at resource servers. What
-- is there already may be any, and is kept as long as an answer.
ALTER TABLE once ADD COLUMN kind SMALLINT NOT NULL DEFAULT 0;
DROP INDEX once_until;
CREATE INDEX once_until ON once (kind, until);

-- The latest end of a key of each kind that was forgotten. Answers are not here: no other is refused because of them.
ALTER TABLE forgotten ADD COLUMN kind SMALLINT NOT NULL DEFAULT 1;
INSERT INTO forgotten (kind, until) SELECT 2, until FROM forgotten;
ALTER TABLE forgotten ADD PRIMARY KEY (kind);

-- The times that sweeps saw: the latest, and one two hours before it or more, up to which kinds 0 and 1 are forgotten.
CREATE TABLE sweep_clock (
    settled BIGINT NOT NULL,
    latest  BIGINT NOT NULL
);
INSERT INTO sweep_clock VALUES (0, 0);

-- Clients that registered themselves and never got a token make room for others. One without an end is the operator's,
-- or got its token before there was this column. Whoever gives a client its first token locks the counter before it, as
-- those do that add or remove clients.
ALTER TABLE clients ADD COLUMN unused BOOLEAN NOT NULL DEFAULT false;
UPDATE clients SET unused = true WHERE unused_until IS NOT NULL;
CREATE INDEX clients_unused ON clients (unused_until) WHERE unused;
ALTER TABLE counters ADD COLUMN unused BIGINT NOT NULL DEFAULT 0;
UPDATE counters SET unused = (SELECT count(*) FROM clients WHERE unused) WHERE name = 'clients';
CREATE OR REPLACE FUNCTION count_clients() RETURNS trigger LANGUAGE plpgsql SET search_path = mcp_oauth AS $$
DECLARE
    changed BIGINT;
    changed_unused BIGINT;
    sign BIGINT := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    SELECT count(*), count(*) FILTER (WHERE c.unused) INTO changed, changed_unused
    FROM changed_clients AS c;
    IF changed > 0 THEN
        UPDATE counters SET value = value + sign * changed, unused = counters.unused + sign * changed_unused
        WHERE name = 'clients';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_used() RETURNS trigger LANGUAGE plpgsql SET search_path = mcp_oauth AS $$
BEGIN
    UPDATE counters SET unused = counters.unused - 1 WHERE name = 'clients';
    RETURN NULL;
END $$;
CREATE TRIGGER client_used AFTER UPDATE OF unused ON clients FOR EACH ROW
    WHEN (OLD.unused AND NOT NEW.unused) EXECUTE FUNCTION count_used();
