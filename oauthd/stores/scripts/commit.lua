-- One atomic step on records of one slot: every condition first, then every write. 1 when done, 0 when refused.
-- KEYS  expected, absent, alive, written and forgotten records, in this order
-- ARGV  the five counts; which of the expected and which of the written is the witness (0: none); now;
--       how many names are told; the raw expected records; raw record and seconds to live (0: for ever) of each
--       written one; the channel and the names that are told on it, if any
local expected, absent, alive = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local writes, forgets = tonumber(ARGV[4]), tonumber(ARGV[5])
local witness, testimony = tonumber(ARGV[6]), tonumber(ARGV[7])
local now = tonumber(ARGV[8])
local told = tonumber(ARGV[9])
local raws = 9
local written = raws + expected

-- A record after its end is absent, though the server still holds it. The first byte is the format's version.
local function lives(key)
  local raw = redis.call('GET', key)
  if not raw then
    return false
  end
  local ends = cjson.decode(string.sub(raw, 2)).e
  return type(ends) ~= 'number' or ends > now
end

-- The witness carries the attempt's own id: if it stands there already, this very step was done and its reply lost.
if witness > 0 and redis.call('GET', KEYS[witness]) == ARGV[written + 2 * testimony - 1] then
  return 1
end
for i = 1, expected do
  if redis.call('GET', KEYS[i]) ~= ARGV[raws + i] then
    return 0
  end
end
for i = expected + 1, expected + absent do
  if lives(KEYS[i]) then
    return 0
  end
end
for i = expected + absent + 1, expected + absent + alive do
  if not lives(KEYS[i]) then
    return 0
  end
end

-- Writes come before removals: if memory is short, the first of them fails and nothing has happened.
local first = expected + absent + alive
for i = 1, writes do
  local raw, ttl = ARGV[written + 2 * i - 1], ARGV[written + 2 * i]
  if ttl == '0' then
    redis.call('SET', KEYS[first + i], raw)
  else
    redis.call('SET', KEYS[first + i], raw, 'EX', ttl)
  end
end
for i = 1, forgets do
  redis.call('DEL', KEYS[first + writes + i])
end
for i = 1, told do
  redis.call('PUBLISH', ARGV[#ARGV - told], ARGV[#ARGV - told + i])
end
return 1
