-- ARGV: holder, time to live in ms. The token, or nil while somebody else holds the lease.
local key = root .. 'lease'
local held = redis.call('HMGET', key, 'holder', 'token')
local token = held[2]
if not held[1] then
  -- At least the server's time in ms: after a failover that lost the last writes no token is given out a second time.
  local now = redis.call('TIME')
  local last = tonumber(redis.call('GET', root .. 'token') or '0')
  token = string.format('%.0f', math.max(last + 1, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)))
  redis.call('SET', root .. 'token', token)
  redis.call('HSET', key, 'holder', ARGV[1], 'token', token)
elseif held[1] ~= ARGV[1] then
  return false
end
redis.call('PEXPIRE', key, ARGV[2])
return tonumber(token)
