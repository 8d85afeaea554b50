-- The steps of RedisSessionStore. Redis runs one script at a time, so each call is one atomic step.
--
--   portcullis:session:<hash>            a hash with the fields of one session
--   portcullis:sessions                  a sorted set: the hashes of all sessions, by expiry
--   portcullis:sessions:<field>:<value>  the same for the sessions with this value in an indexed field
--
-- Redis removes each key a day after the last of its sessions has expired. A sorted set can still name a session that
-- Redis has removed. Such an entry selects nothing, and the next insertion into the set removes it.

local SESSION, SESSIONS = 'portcullis:session:', 'portcullis:sessions'
-- The most selective ones first.
local INDEXED = {'id', 'session_id', 'credential', 'owner'}

local function read(hash)
  local flat, session = redis.call('HGETALL', SESSION .. hash), {}
  for i = 1, #flat, 2 do session[flat[i]] = flat[i + 1] end
  return next(session) and session
end

local function sets_of(session)
  local sets = {SESSIONS}
  for _, field in ipairs(INDEXED) do
    if session[field] then table.insert(sets, SESSIONS .. ':' .. field .. ':' .. session[field]) end
  end
  return sets
end

local function write(hash, session, ttl)
  for field, value in pairs(session) do redis.call('HSET', SESSION .. hash, field, value) end
  redis.call('EXPIRE', SESSION .. hash, ttl)
  for _, set in ipairs(sets_of(session)) do
    -- Each insertion adds one entry and removes up to four, so few are left without a session.
    for _, first in ipairs(redis.call('ZRANGE', set, 0, 3)) do
      if redis.call('EXISTS', SESSION .. first) == 0 then redis.call('ZREM', set, first) end
    end
    redis.call('ZADD', set, session.expires_at, hash)
    if redis.call('TTL', set) < tonumber(ttl) then redis.call('EXPIRE', set, ttl) end
  end
end

local function remove(hash)
  for _, set in ipairs(sets_of(read(hash) or {})) do redis.call('ZREM', set, hash) end
  redis.call('DEL', SESSION .. hash)
end

local function remove_expired(now, limit)
  local expired = redis.call('ZRANGEBYSCORE', SESSIONS, '-inf', now, 'LIMIT', 0, limit)
  for _, hash in ipairs(expired) do remove(hash) end
  return #expired
end

-- The hashes of the sessions that have all `wanted` fields, but for those with the session id `unwanted`.
local function select(wanted, unwanted)
  local hashes = redis.call('ZRANGE', sets_of(wanted)[2], 0, -1)
  local selected = {}
  for _, hash in ipairs(hashes) do
    local session = read(hash)
    local matches = session and session.session_id ~= unwanted
    for field, value in pairs(wanted) do matches = matches and session[field] == value end
    if matches then table.insert(selected, hash) end
  end
  return selected
end

local steps = {}

function steps.insert(call)
  local session, replaced = call.session, {}
  remove_expired(session.created, 4)
  for _, session_id in ipairs(call.replaced) do
    for _, hash in ipairs(select({session_id = session_id})) do replaced[hash] = true end
  end
  local same = {select({id = session.id}), select({session_id = session.session_id}), {}}
  if read(call.hash) then same[3] = {call.hash} end
  for _, hashes in ipairs(same) do
    for _, hash in ipairs(hashes) do
      if not replaced[hash] then return 0 end
    end
  end
  for hash in pairs(replaced) do remove(hash) end
  write(call.hash, session, call.ttl)
  return 1
end

function steps.touch(call)
  local session = read(call.hash)
  if not session or tonumber(session.expires_at) <= tonumber(call.last_used) then return 0 end
  remove(call.hash)
  if tonumber(session.last_used) < tonumber(call.last_used) then session.last_used = call.last_used end
  session.expires_at = call.expires_at
  -- `checked` is a list of at most one: its time, the grant, and the grant's owner.
  for _, checked in ipairs(call.checked) do
    if tonumber(session.checked_at) <= tonumber(checked.checked_at) then
      for field, value in pairs(checked) do session[field] = value end
    end
  end
  write(call.hash, session, call.ttl)
  return 1
end

function steps.list(call)
  local sessions = {}
  for _, hash in ipairs(select(call.wanted, call.unwanted)) do
    table.insert(sessions, redis.call('HGETALL', SESSION .. hash))
  end
  return sessions
end

function steps.finish(call)
  local ended = select(call.wanted, call.unwanted)
  for _, hash in ipairs(ended) do remove(hash) end
  return #ended
end

function steps.remove_expired(call)
  return remove_expired(call.now, call.limit)
end

return steps[ARGV[1]](cjson.decode(ARGV[2]))
