CREATE TABLE portcullis_store (
    one integer PRIMARY KEY CHECK (one = 1),
    version integer NOT NULL,
    lookup_key bytea,
    lookup_key_check bytea NOT NULL
);

CREATE TABLE portcullis_tokens (
    id bigint PRIMARY KEY,
    hash bytea UNIQUE,
    prefix text,
    salted text,
    owner text NOT NULL,
    identity text,
    scopes text NOT NULL,
    label text,
    created bigint NOT NULL,
    expires_at bigint,
    last_used bigint,
    session_id text,
    client_id text
);
CREATE INDEX portcullis_tokens_owner ON portcullis_tokens (owner);
CREATE INDEX portcullis_tokens_session ON portcullis_tokens (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX portcullis_tokens_expiry ON portcullis_tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX portcullis_tokens_prefix ON portcullis_tokens (prefix) WHERE prefix IS NOT NULL;

CREATE TABLE portcullis_logins (
    id bigint PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    owner text NOT NULL,
    session_id text NOT NULL UNIQUE,
    created bigint NOT NULL,
    expires_at bigint NOT NULL,
    note text
);
CREATE INDEX portcullis_logins_owner ON portcullis_logins (owner);
CREATE INDEX portcullis_logins_expiry ON portcullis_logins (expires_at);

CREATE TABLE portcullis_codes (
    hash bytea PRIMARY KEY,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    owner text NOT NULL,
    expires_at bigint NOT NULL,
    code_challenge text,
    scopes text NOT NULL,
    session_id text,
    token bigint
);
CREATE INDEX portcullis_codes_session ON portcullis_codes (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX portcullis_codes_expiry ON portcullis_codes (expires_at);
