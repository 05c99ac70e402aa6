-- ARGV: plan, step, token, journal entry, mark of this call, journal entries kept.
local key = root .. 'plan:' .. ARGV[1]
local refusal = fence(ARGV[3])
if refusal then
  return refusal
end
if redis.call('EXISTS', key) == 0 then
  return { 'unknown' }
end
if redis.call('HEXISTS', key, 'guest:' .. ARGV[2]) == 0 then
  return { 'unknown_step' }
end
if redis.call('HGET', key, 'noted') ~= ARGV[5] then
  redis.call('HSET', key, 'noted', ARGV[5])
  append_journal(ARGV[4], ARGV[6])
end
return { 'ok' }
