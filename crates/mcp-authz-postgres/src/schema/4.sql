-- What no statement searches, compares or expires stands in one column, as JSON with a version, which the library reads:
-- a new fact needs no new schema. Digests in it are lower-case hexadecimal digits. to_json keeps a damaged text within its
-- member, where the library refuses it. Each table is written anew once, without dead rows.

ALTER TABLE clients ALTER COLUMN metadata TYPE TEXT USING '{"v":1,"authentication":' || authentication
    || ',"redirect_uris":' || redirect_uris || ',"metadata":' || metadata || ',"registered_at":' || registered_at || '}';
ALTER TABLE clients RENAME COLUMN metadata TO body;
ALTER TABLE clients DROP COLUMN authentication, DROP COLUMN redirect_uris, DROP COLUMN registered_at;

ALTER TABLE consents ALTER COLUMN scopes TYPE TEXT USING '{"v":1,"scopes":' || to_json(scopes)::text
    || ',"metadata":"' || encode(metadata, 'hex') || '"}';
ALTER TABLE consents RENAME COLUMN scopes TO body;
ALTER TABLE consents DROP COLUMN metadata;

ALTER TABLE families ALTER COLUMN scopes TYPE TEXT USING '{"v":1,"scopes":' || to_json(scopes)::text
    || CASE WHEN jkt IS NULL THEN '' ELSE ',"jkt":"' || encode(jkt, 'hex') || '"' END || '}';
ALTER TABLE families RENAME COLUMN scopes TO body;
ALTER TABLE families DROP COLUMN jkt;

ALTER TABLE codes ALTER COLUMN scopes TYPE TEXT USING '{"v":1,"redirect_uri":' || to_json(redirect_uri)::text
    || ',"challenge":' || to_json(challenge)::text || ',"resource":' || to_json(resource)::text || ',"scopes":' || to_json(scopes)::text
    || CASE WHEN jkt IS NULL THEN '' ELSE ',"jkt":"' || encode(jkt, 'hex') || '"' END || '}';
ALTER TABLE codes RENAME COLUMN scopes TO body;
ALTER TABLE codes DROP COLUMN redirect_uri, DROP COLUMN challenge, DROP COLUMN resource, DROP COLUMN jkt;

ALTER TABLE access ALTER COLUMN scopes TYPE TEXT USING '{"v":1,"scopes":' || to_json(scopes)::text
    || CASE WHEN jkt IS NULL THEN '' ELSE ',"jkt":"' || encode(jkt, 'hex') || '"' END || '}';
ALTER TABLE access RENAME COLUMN scopes TO body;
ALTER TABLE access DROP COLUMN jkt;
