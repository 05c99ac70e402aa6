-- Permits of rate limits. permit:KEY is a sorted set of holders ("PLAN STEP") by the server's ms until which each
-- counts, without end for one that counts while its step is under way. Mirrors PermitBook of permits.py.
local function now_ms()
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end

-- How many count under a key now.
local function permits_taken(key, now)
  redis.call('ZREMRANGEBYSCORE', root .. 'permit:' .. key, '-inf', string.format('%.0f', now))
  local taken = redis.call('ZCARD', root .. 'permit:' .. key)
  if taken == 0 then
    redis.call('SREM', root .. 'permits', key)
  end
  return taken
end

-- The first key that has no permit left for the holder, or nil. Wanted: ARGV from `first` on: key, most, ms or -1.
local function permit_lacking(holder, first, now)
  for i = first, #ARGV, 3 do
    local taken = permits_taken(ARGV[i], now)
    if redis.call('ZSCORE', root .. 'permit:' .. ARGV[i], holder) then
      taken = taken - 1
    end
    if taken >= tonumber(ARGV[i + 1]) then
      return ARGV[i]
    end
  end
  return nil
end

local function take_permits(holder, first, now)
  local keys = {}
  for i = first, #ARGV, 3 do
    local ms = tonumber(ARGV[i + 2])
    local score = ms < 0 and '+inf' or string.format('%.0f', now + ms)
    redis.call('ZADD', root .. 'permit:' .. ARGV[i], score, holder)
    redis.call('SADD', root .. 'permits', ARGV[i])
    keys[#keys + 1] = ARGV[i]
  end
  if #keys > 0 then
    redis.call('HSET', root .. 'permits-of', holder, cjson.encode(keys))
  end
end

-- Free what a step held while under way; all_of_them: those of hours and days, too.
local function give_permits_back(holder, all_of_them)
  local text = redis.call('HGET', root .. 'permits-of', holder)
  if not text then
    return
  end
  for _, key in ipairs(cjson.decode(text)) do
    if all_of_them or redis.call('ZSCORE', root .. 'permit:' .. key, holder) == 'inf' then
      redis.call('ZREM', root .. 'permit:' .. key, holder)
    end
  end
  redis.call('HDEL', root .. 'permits-of', holder)
end
