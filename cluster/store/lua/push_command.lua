-- ARGV: id, command (JSON), how long the id is remembered in ms.
if redis.call('SET', root .. 'command:' .. ARGV[1], '1', 'NX', 'PX', ARGV[3]) then
  redis.call('RPUSH', root .. 'commands', ARGV[2])
end
