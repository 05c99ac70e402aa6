-- ARGV: holder, token.
local held = redis.call('HMGET', root .. 'lease', 'holder', 'token')
if held[1] == ARGV[1] and held[2] == ARGV[2] then
  redis.call('DEL', root .. 'lease')
end
