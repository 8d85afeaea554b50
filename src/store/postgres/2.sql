-- Logins become sessions, which keep a grant. Renamed and not copied, so that roles keep their privileges.
ALTER TABLE portcullis_logins RENAME TO portcullis_sessions;
ALTER INDEX portcullis_logins_pkey RENAME TO portcullis_sessions_pkey;
ALTER INDEX portcullis_logins_hash_key RENAME TO portcullis_sessions_hash_key;
ALTER INDEX portcullis_logins_session_id_key RENAME TO portcullis_sessions_session_id_key;
ALTER INDEX portcullis_logins_owner RENAME TO portcullis_sessions_owner;
ALTER INDEX portcullis_logins_expiry RENAME TO portcullis_sessions_expiry;
ALTER TABLE portcullis_sessions
    ADD COLUMN identity text,
    ADD COLUMN scopes text,
    ADD COLUMN label text,
    ADD COLUMN grant_expires_at bigint,
    ADD COLUMN last_used bigint,
    ADD COLUMN checked_at bigint,
    ADD COLUMN address text,
    ADD COLUMN credential bytea;
UPDATE portcullis_sessions SET scopes = '[]', last_used = created, checked_at = created;
ALTER TABLE portcullis_sessions
    ALTER COLUMN scopes SET NOT NULL,
    ALTER COLUMN last_used SET NOT NULL,
    ALTER COLUMN checked_at SET NOT NULL;
CREATE INDEX portcullis_sessions_credential ON portcullis_sessions (credential) WHERE credential IS NOT NULL;
