-- ARGV: 'active' | 'one' | 'latest', then the plan's id or how many. {text, state, why, {step, record, ...}} for each.
local ids = {}
if ARGV[1] == 'active' then
  ids = { redis.call('GET', root .. 'active') or nil }
elseif ARGV[1] == 'one' then
  ids = { ARGV[2] }
elseif tonumber(ARGV[2]) > 0 then
  ids = redis.call('LRANGE', root .. 'plans', 0, tonumber(ARGV[2]) - 1)
end
local found = {}
for _, id in ipairs(ids) do
  local held = redis.call('HMGET', root .. 'plan:' .. id, 'text', 'state', 'why')
  if held[1] then
    found[#found + 1] = { held[1], held[2], held[3], redis.call('HGETALL', root .. 'steps:' .. id) }
  end
end
return found
