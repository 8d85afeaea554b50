CREATE TABLE portcullis_attempts (
    key bytea PRIMARY KEY,
    failures bigint NOT NULL,
    last_failure bigint NOT NULL,
    under_way bytea NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX portcullis_attempts_expiry ON portcullis_attempts (expires_at);
