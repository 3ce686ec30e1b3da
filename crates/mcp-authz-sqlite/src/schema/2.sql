-- The latest end of a key that was forgotten: a clock that ran ahead and is set right shows none of them anew.
CREATE TABLE forgotten (
    until INTEGER NOT NULL
) STRICT;
INSERT INTO forgotten VALUES (0);
CREATE TRIGGER once_forgotten AFTER DELETE ON once BEGIN
    UPDATE forgotten SET until = old.until WHERE until < old.until;
END;
