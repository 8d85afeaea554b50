CREATE TABLE portcullis_store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    lookup_key BLOB,
    lookup_key_check BLOB NOT NULL
) STRICT;

-- The rows lie by their hashes, so that a look-up reads one leaf of one tree.
CREATE TABLE portcullis_tokens (
    hash BLOB PRIMARY KEY,
    id INTEGER NOT NULL UNIQUE,
    prefix TEXT,
    salted TEXT,
    owner TEXT NOT NULL,
    identity TEXT,
    scopes TEXT NOT NULL,
    label TEXT,
    created INTEGER NOT NULL,
    expires_at INTEGER,
    last_used INTEGER,
    session_id TEXT,
    client_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX portcullis_tokens_owner ON portcullis_tokens (owner);
CREATE INDEX portcullis_tokens_session ON portcullis_tokens (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX portcullis_tokens_expiry ON portcullis_tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX portcullis_tokens_prefix ON portcullis_tokens (prefix) WHERE prefix IS NOT NULL;

CREATE TABLE portcullis_logins (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    session_id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    note TEXT
) STRICT;
CREATE INDEX portcullis_logins_owner ON portcullis_logins (owner);
CREATE INDEX portcullis_logins_expiry ON portcullis_logins (expires_at);

CREATE TABLE portcullis_codes (
    hash BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    owner TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    code_challenge TEXT,
    scopes TEXT NOT NULL,
    session_id TEXT,
    token INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX portcullis_codes_session ON portcullis_codes (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX portcullis_codes_expiry ON portcullis_codes (expires_at);
