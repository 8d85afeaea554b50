-- The refresh token that a token came with or from, by its id; of a refresh token, its own. Its secret, by a keyed hash.
ALTER TABLE portcullis_tokens ADD COLUMN family bigint;
ALTER TABLE portcullis_tokens ADD COLUMN refresh bytea;
CREATE INDEX portcullis_tokens_family ON portcullis_tokens (family) WHERE family IS NOT NULL;
