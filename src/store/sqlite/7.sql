-- The URI of the resource that a token is for.
ALTER TABLE portcullis_tokens ADD COLUMN resource TEXT;
ALTER TABLE portcullis_codes ADD COLUMN resource TEXT;
