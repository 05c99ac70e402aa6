-- ARGV: host, agent start in microseconds, sequence, text, time to live in ms. 1: held now; 0: a newer one is held.
local key = root .. 'report:' .. ARGV[1]
local held = redis.call('HMGET', key, 'start', 'sequence')
if held[1] then
  local start, sequence = tonumber(held[1]), tonumber(held[2])
  local new_start, new_sequence = tonumber(ARGV[2]), tonumber(ARGV[3])
  if start == new_start and sequence == new_sequence then
    return 1
  end
  if start > new_start or (start == new_start and sequence > new_sequence) then
    return 0
  end
end
redis.call('HSET', key, 'start', ARGV[2], 'sequence', ARGV[3], 'text', ARGV[4])
redis.call('PEXPIRE', key, ARGV[5])
redis.call('SADD', root .. 'hosts', ARGV[1])
return 1
