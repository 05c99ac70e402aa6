-- What every script begins with. KEYS[1] is the root of all key names; they share its hash tag, so one slot holds them.
-- A script answers a refusal as {code, detail, ...}; refusals.py has the sentences.
local root = KEYS[1]
local UNDER_WAY = { active = true, stopping = true }
local OVER = { ended = true, rejected = true }

-- The refusal of a write whose token is not the lease's, or nil.
local function fence(token)
  local current = redis.call('HGET', root .. 'lease', 'token')
  if current ~= token then
    return { 'fenced', current or '' }
  end
  return nil
end

local function append_journal(entry, kept)
  redis.call('RPUSH', root .. 'journal', entry)
  redis.call('LTRIM', root .. 'journal', -tonumber(kept), -1)
end
