-- ARGV: holder, time to live in ms. The token, or nil while somebody else holds the lease.
local key = root .. 'lease'
local held = redis.call('HMGET', key, 'holder', 'token')
local token = held[2]
if not held[1] then
  token = redis.call('INCR', root .. 'token')
  redis.call('HSET', key, 'holder', ARGV[1], 'token', token)
elseif held[1] ~= ARGV[1] then
  return false
end
redis.call('PEXPIRE', key, ARGV[2])
return tonumber(token)
