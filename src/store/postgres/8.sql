-- Clients that registered themselves, with their redirect URIs as JSON.
CREATE TABLE portcullis_clients (
    id text PRIMARY KEY,
    name text NOT NULL,
    redirect_uris text NOT NULL,
    created bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX portcullis_clients_expiry ON portcullis_clients (expires_at);
