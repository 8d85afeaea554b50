INSERT INTO portcullis_tokens
    (id, prefix, salted, owner, scopes, label, created, expires_at, last_used, session_id, client_id)
SELECT
    token.id,
    token.prefix,
    token.hashed,
    coalesce(account.name, 'services/' || service.name),
    coalesce(token.scopes, '[]'),
    nullif(token.note, ''),
    floor(extract(epoch FROM coalesce(token.created, now() AT TIME ZONE 'utc')))::bigint,
    floor(extract(epoch FROM token.expires_at))::bigint,
    floor(extract(epoch FROM token.last_activity))::bigint,
    token.session_id,
    token.client_id
FROM api_tokens AS token
LEFT JOIN users AS account ON account.id = token.user_id
LEFT JOIN services AS service ON service.id = token.service_id
WHERE token.client_id IS NOT NULL
    AND token.prefix IS NOT NULL
    AND token.hashed IS NOT NULL
    AND coalesce(account.name, service.name) IS NOT NULL
    AND (token.expires_at IS NULL OR token.expires_at > now() AT TIME ZONE 'utc');
