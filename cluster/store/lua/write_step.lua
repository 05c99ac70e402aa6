-- ARGV: plan, step, expected state, new state, record (JSON with this call's mark), token, journal entry, mark of this
-- call, journal entries kept, time of the last move, unresolved mark (JSON), then the permits that the step needs: key,
-- most, ms or -1 for each.
local plan, step, expected, state = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local refusal = fence(ARGV[6])
if refusal then
  return refusal
end
if redis.call('EXISTS', root .. 'plan:' .. plan) == 0 then
  return { 'unknown' }
end
local guest = redis.call('HGET', root .. 'plan:' .. plan, 'guest:' .. step)
if not guest then
  return { 'unknown_step' }
end
local before = 'waiting'
local text = redis.call('HGET', root .. 'steps:' .. plan, step)
if text then
  local held = cjson.decode(text)
  if held.call == ARGV[8] then
    return { 'ok' }
  end
  before = held.state
end
if before ~= expected then
  return { 'changed', before }
end
local holder = plan .. ' ' .. step
if #ARGV >= 12 then
  local now = now_ms()
  local lacking = permit_lacking(holder, 12, now)
  if lacking then
    return { 'no_permit', lacking }
  end
  take_permits(holder, 12, now)
end
redis.call('HSET', root .. 'steps:' .. plan, step, ARGV[5])
if state == before then
  return { 'ok' }
end
append_journal(ARGV[7], ARGV[9])
if state == 'refused' then
  give_permits_back(holder, true)
elseif state == 'done' or state == 'failed' or state == 'aborted' then
  give_permits_back(holder, false)
end
if guest == '' then
  return { 'ok' }
end
if state == 'done' then
  redis.call('HSET', root .. 'last-moves', guest, ARGV[10])
end
if state == 'unresolved' then
  redis.call('HSET', root .. 'unresolved', guest, ARGV[11])
else
  -- Only the step that made a mark lifts it: a later one that ends refused says nothing of where the guest runs.
  local mark = redis.call('HGET', root .. 'unresolved', guest)
  if mark then
    mark = cjson.decode(mark)
    if mark.plan == plan and mark.step == step then
      redis.call('HDEL', root .. 'unresolved', guest)
    end
  end
end
return { 'ok' }
