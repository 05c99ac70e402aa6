-- ARGV: day, what is known of it, token, days kept.
local refusal = fence(ARGV[3])
if refusal then
  return refusal
end
local key = root .. 'energy'
redis.call('HSET', key, ARGV[1], ARGV[2])
local days = redis.call('HKEYS', key)
table.sort(days)
for number = 1, #days - tonumber(ARGV[4]) do
  redis.call('HDEL', key, days[number])
end
return { 'ok' }
