-- Key, count, key, count, ... of the permits that count now.
local found, now = {}, now_ms()
for _, key in ipairs(redis.call('SMEMBERS', root .. 'permits')) do
  local taken = permits_taken(key, now)
  if taken > 0 then
    found[#found + 1] = key
    found[#found + 1] = tostring(taken)
  end
end
return found
