-- When users and their servers were active: seconds since 1970, 0 for never.
CREATE TABLE portcullis_activity (
    owner text COLLATE "C" NOT NULL,
    -- '/' for the user as a whole, which no server is called.
    server text COLLATE "C" NOT NULL,
    last_activity bigint NOT NULL,
    started bigint NOT NULL,
    stopped bigint NOT NULL,
    PRIMARY KEY (owner, server)
);
CREATE INDEX portcullis_activity_users ON portcullis_activity (owner) WHERE server = '/';
INSERT INTO portcullis_activity
SELECT owner, '/', max(last_used), 0, 0 FROM portcullis_sessions GROUP BY owner;
-- The newest tokens of an owner are read without the older ones.
DROP INDEX portcullis_tokens_owner;
CREATE INDEX portcullis_tokens_owner ON portcullis_tokens (owner, created);
