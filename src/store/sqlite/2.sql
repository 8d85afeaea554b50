-- Logins become sessions, which keep a grant. The rows lie by their hashes, as those of tokens do.
CREATE TABLE portcullis_sessions (
    hash BLOB PRIMARY KEY,
    id INTEGER NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    identity TEXT,
    scopes TEXT NOT NULL,
    label TEXT,
    grant_expires_at INTEGER,
    session_id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    checked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    note TEXT,
    address TEXT,
    credential BLOB
) STRICT, WITHOUT ROWID;
INSERT INTO portcullis_sessions
    (hash, id, owner, scopes, session_id, created, last_used, checked_at, expires_at, note)
SELECT hash, id, owner, '[]', session_id, created, created, created, expires_at, note FROM portcullis_logins;
DROP TABLE portcullis_logins;
CREATE INDEX portcullis_sessions_owner ON portcullis_sessions (owner);
CREATE INDEX portcullis_sessions_expiry ON portcullis_sessions (expires_at);
CREATE INDEX portcullis_sessions_credential ON portcullis_sessions (credential) WHERE credential IS NOT NULL;
