-- ARGV: plan, text, state, token, journal entry, mark of this call, journal entries kept, plans kept,
-- then step, guest ('' for none) for each step. The mark tells a repeat of this very call, whose answer got lost.
local plan = ARGV[1]
local key = root .. 'plan:' .. plan
local refusal = fence(ARGV[4])
if refusal then
  return refusal
end
if redis.call('EXISTS', key) == 1 then
  if redis.call('HGET', key, 'call') == ARGV[6] then
    return { 'ok' }
  end
  return { 'known' }
end
local other = redis.call('GET', root .. 'active')
if other then
  return { 'under_way', other }
end
redis.call('HSET', key, 'text', ARGV[2], 'state', ARGV[3], 'why', '', 'call', ARGV[6])
for i = 9, #ARGV, 2 do
  redis.call('HSET', key, 'guest:' .. ARGV[i], ARGV[i + 1])
end
if UNDER_WAY[ARGV[3]] then
  redis.call('SET', root .. 'active', plan)
end
redis.call('LPUSH', root .. 'plans', plan)
while redis.call('LLEN', root .. 'plans') > tonumber(ARGV[8]) do
  local oldest = redis.call('RPOP', root .. 'plans')
  redis.call('DEL', root .. 'plan:' .. oldest, root .. 'steps:' .. oldest)
end
append_journal(ARGV[5], ARGV[7])
return { 'ok' }
