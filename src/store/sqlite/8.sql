-- Clients that registered themselves, with their redirect URIs as JSON.
CREATE TABLE portcullis_clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX portcullis_clients_expiry ON portcullis_clients (expires_at);
