-- ARGV: guest, journal entry without plan and step, journal entries kept.
local mark = redis.call('HGET', root .. 'unresolved', ARGV[1])
if not mark then
  return
end
mark = cjson.decode(mark)
local entry = cjson.decode(ARGV[2])
entry.plan, entry.step = mark.plan, mark.step
redis.call('HDEL', root .. 'unresolved', ARGV[1])
give_permits_back(mark.plan .. ' ' .. mark.step, false)
append_journal(cjson.encode(entry), ARGV[3])
