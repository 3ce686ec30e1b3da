-- Kinds of what counts once: 0 for answers to consent pages, 1 for token requests, 2 for proofs at resource servers. What
-- is there already may be any, and is kept as long as an answer.
DROP TRIGGER once_forgotten;
DROP INDEX once_until;
ALTER TABLE once ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
CREATE INDEX once_until ON once (kind, until);

-- The latest end of a key of each kind that was forgotten. Answers are not here: no other is refused because of them.
ALTER TABLE forgotten RENAME TO old_forgotten;
CREATE TABLE forgotten (
    kind  INTEGER NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;
INSERT INTO forgotten SELECT 1, max(until) FROM old_forgotten;
INSERT INTO forgotten SELECT 2, max(until) FROM old_forgotten;
DROP TABLE old_forgotten;
CREATE TRIGGER once_forgotten AFTER DELETE ON once BEGIN
    UPDATE forgotten SET until = old.until WHERE kind = old.kind AND until < old.until;
END;

-- The times that sweeps saw: the latest, and one two hours before it or more, up to which kinds 0 and 1 are forgotten.
CREATE TABLE sweep_clock (
    settled INTEGER NOT NULL,
    latest  INTEGER NOT NULL
) STRICT;
INSERT INTO sweep_clock VALUES (0, 0);

-- Clients that registered themselves and never got a token make room for others. One without an end is the operator's,
-- or got its token before there was this column.
ALTER TABLE clients ADD COLUMN unused INTEGER NOT NULL DEFAULT 0;
UPDATE clients SET unused = 1 WHERE unused_until IS NOT NULL;
CREATE INDEX clients_unused ON clients (unused_until) WHERE unused = 1;
INSERT INTO counters SELECT 'unused', count(*) FROM clients WHERE unused = 1;
CREATE TRIGGER unused_added AFTER INSERT ON clients WHEN new.unused = 1 BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'unused';
END;
CREATE TRIGGER unused_removed AFTER DELETE ON clients WHEN old.unused = 1 BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'unused';
END;
CREATE TRIGGER unused_used AFTER UPDATE ON clients WHEN old.unused = 1 AND new.unused = 0 BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'unused';
END;
