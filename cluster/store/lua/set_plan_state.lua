-- ARGV: plan, state, token, why, journal entry, mark of this call, journal entries kept.
local plan, state = ARGV[1], ARGV[2]
local key = root .. 'plan:' .. plan
local refusal = fence(ARGV[3])
if refusal then
  return refusal
end
local held = redis.call('HMGET', key, 'state', 'call')
local before = held[1]
if not before then
  return { 'unknown' }
end
if held[2] == ARGV[6] then
  return { 'ok' }
end
if OVER[before] then
  return { 'over', before }
end
if state == 'waiting' and UNDER_WAY[before] then
  return { 'back', before }
end
if UNDER_WAY[state] then
  local other = redis.call('GET', root .. 'active')
  if other and other ~= plan then
    return { 'under_way', other }
  end
  redis.call('SET', root .. 'active', plan)
elseif UNDER_WAY[before] then
  redis.call('DEL', root .. 'active')
end
redis.call('HSET', key, 'state', state, 'why', ARGV[4], 'call', ARGV[6])
if state ~= before then
  append_journal(ARGV[5], ARGV[7])
end
return { 'ok' }
