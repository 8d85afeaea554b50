INSERT INTO portcullis_tokens
    (id, hash, prefix, salted, owner, scopes, label, created, expires_at, last_used, session_id, client_id)
SELECT
    token.id,
    -- Nobody's, until the token is used.
    randomblob(32),
    token.prefix,
    token.hashed,
    coalesce(user.name, 'services/' || service.name),
    coalesce(token.scopes, '[]'),
    nullif(token.note, ''),
    coalesce(CAST(strftime('%s', token.created) AS INTEGER), CAST(strftime('%s', 'now') AS INTEGER)),
    CAST(strftime('%s', token.expires_at) AS INTEGER),
    CAST(strftime('%s', token.last_activity) AS INTEGER),
    token.session_id,
    token.client_id
FROM api_tokens AS token
LEFT JOIN users AS user ON user.id = token.user_id
LEFT JOIN services AS service ON service.id = token.service_id
WHERE token.client_id IS NOT NULL
    AND token.prefix IS NOT NULL
    AND token.hashed IS NOT NULL
    AND coalesce(user.name, service.name) IS NOT NULL
    -- A date that cannot be read is no date without end.
    AND (token.expires_at IS NULL
        OR CAST(strftime('%s', token.expires_at) AS INTEGER) > CAST(strftime('%s', 'now') AS INTEGER));
