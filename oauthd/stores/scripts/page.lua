-- A page of an index: members and scores in order, after a position that need not exist any more.
-- KEYS  the index
-- ARGV  now; how many; score and member of the position (left out: from the beginning)
local index, count = KEYS[1], tonumber(ARGV[2])

-- Lua compares strings by the server's locale, sorted sets by their bytes.
local function above(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then
      return a > b
    end
  end
  return #one > #other
end

local first = 0
-- Only indexes of records that end have a time to live, and only there the score is that end.
if redis.call('TTL', index) >= 0 then
  first = redis.call('ZCOUNT', index, '-inf', ARGV[1])
end
if ARGV[3] then
  local low = redis.call('ZCOUNT', index, '-inf', '(' .. ARGV[3])
  local high = redis.call('ZCOUNT', index, '-inf', ARGV[3])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if above(redis.call('ZRANGE', index, middle, middle)[1], ARGV[4]) then
      high = middle
    else
      low = middle + 1
    end
  end
  first = math.max(first, low)
end
return redis.call('ZRANGE', index, first, first + count - 1, 'WITHSCORES')
