-- Host, text, host, text, ...; hosts whose report has expired leave the index.
local found = {}
for _, host in ipairs(redis.call('SMEMBERS', root .. 'hosts')) do
  local text = redis.call('HGET', root .. 'report:' .. host, 'text')
  if text then
    found[#found + 1] = host
    found[#found + 1] = text
  else
    redis.call('SREM', root .. 'hosts', host)
  end
end
return found
