-- ARGV: slots in a ring, time to live in ms, then ring, slot, value for each sample.
-- The same bytes as with_sample() of cluster/history.py, written in place: the ring itself is never carried over.
local HEADER_BYTES, VALUE_BYTES, LARGEST = 16, 4, 4294967294
local slots, ttl_ms = tonumber(ARGV[1]), ARGV[2]

local function empty(count)
  return string.rep('\255', VALUE_BYTES * count)
end

local function offset(slot)
  return HEADER_BYTES + VALUE_BYTES * (slot % slots)
end

-- Empty `count` slots from `first` on: two writes at most, since the ring may end in between.
local function clear(key, first, count)
  local head = math.min(count, slots - first % slots)
  if head > 0 then
    redis.call('SETRANGE', key, offset(first), empty(head))
  end
  if count > head then
    redis.call('SETRANGE', key, HEADER_BYTES, empty(count - head))
  end
end

local function record(key, slot, value)
  local last, count = 0, 0
  local header = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1)
  if #header == HEADER_BYTES then
    last, count = struct.unpack('<I8I4', header)
  else
    redis.call('SET', key, string.rep('\0', HEADER_BYTES) .. empty(slots), 'PX', ttl_ms)
  end
  if slot < last then
    return
  end
  if slot == last then
    local at = offset(slot)
    local mean = struct.unpack('<I4', redis.call('GETRANGE', key, at, at + VALUE_BYTES - 1))
    local sum = mean * count + value
    count = count + 1
    value = (sum - sum % count) / count
  else
    if last > 0 then
      local first = math.max(last + 1, slot - slots + 1)
      clear(key, first, slot - first)
    end
    count = 1
    redis.call('PEXPIRE', key, ttl_ms)
  end
  redis.call('SETRANGE', key, offset(slot), struct.pack('<I4', math.min(value, LARGEST)))
  redis.call('SETRANGE', key, 0, struct.pack('<I8I4I4', slot, count, 0))
end

for i = 3, #ARGV, 3 do
  record(root .. 'usage:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
end
