-- Clients that the operator put into the store say so. Before this column one without an end was the operator's, or had
-- registered itself and got its token before schema 4. Registration gives identifiers of 16 random bytes, and redirect
-- URIs always: what has none, or another identifier, can only be the operator's. Any other counts as registered by itself.
ALTER TABLE clients ADD COLUMN of_operator INTEGER NOT NULL DEFAULT 0;
UPDATE clients SET of_operator = 1 WHERE unused_until IS NULL AND (
    redirect_uris = '[]' OR length(client_id) <> 22 OR client_id GLOB '*[^A-Za-z0-9_-]*'
    OR client_id NOT GLOB '*[AQgw]' -- how 16 bytes end in base64url
);
