-- ARGV: what a migration took (JSON), how many are kept.
redis.call('RPUSH', root .. 'moves', ARGV[1])
redis.call('LTRIM', root .. 'moves', -tonumber(ARGV[2]), -1)
