-- Take members out of an index whose records are gone, unless they were entered anew in the meantime.
-- KEYS  the index
-- ARGV  member and score as they were seen, in turn
local dropped = 0
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    dropped = dropped + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return dropped
