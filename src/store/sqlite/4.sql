-- Password attempts that replicas count together, by a keyed hash of the account.
CREATE TABLE portcullis_attempts (
    key BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_failure INTEGER NOT NULL,
    under_way BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX portcullis_attempts_expiry ON portcullis_attempts (expires_at);
