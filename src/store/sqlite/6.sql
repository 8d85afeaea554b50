-- The refresh token that a token came with or from, by its id; of a refresh token, its own. Its secret, by a keyed hash.
ALTER TABLE portcullis_tokens ADD COLUMN family INTEGER;
ALTER TABLE portcullis_tokens ADD COLUMN refresh BLOB;
CREATE INDEX portcullis_tokens_family ON portcullis_tokens (family) WHERE family IS NOT NULL;
