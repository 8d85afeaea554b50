-- The URI of the resource that a token is for.
ALTER TABLE portcullis_tokens ADD COLUMN resource text;
ALTER TABLE portcullis_codes ADD COLUMN resource text;
