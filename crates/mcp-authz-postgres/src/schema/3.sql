-- Clients that the operator put into the store say so. Before this column one without an end was the operator's, or had
-- registered itself and got its token before schema 2. Registration gives identifiers of 16 random bytes, and redirect
-- URIs always: what has none, or another identifier, can only be the operator's. Any other counts as registered by itself.
ALTER TABLE clients ADD COLUMN of_operator BOOLEAN NOT NULL DEFAULT false;
UPDATE clients SET of_operator = true WHERE unused_until IS NULL AND (
    redirect_uris = '[]' OR client_id !~ '^[A-Za-z0-9_-]{21}[AQgw]$' -- 16 bytes in base64url
);
