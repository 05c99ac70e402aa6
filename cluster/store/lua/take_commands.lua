-- ARGV: mark of this call, how long its answer is kept in ms. A repeat of a call whose answer got lost gets it again.
local taken = root .. 'taken:' .. ARGV[1]
if redis.call('EXISTS', taken) == 0 and redis.call('EXISTS', root .. 'commands') == 1 then
  redis.call('RENAME', root .. 'commands', taken)
  redis.call('PEXPIRE', taken, ARGV[2])
end
return redis.call('LRANGE', taken, 0, -1)
