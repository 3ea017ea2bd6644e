-- Write records and let them wait in a queue: one step, so that none is written and forgotten.
-- KEYS  the queue, and the records
-- ARGV  when they are due (the score); member, raw record and seconds to live of each
local queue, longest = KEYS[1], 0
for i = 2, #KEYS do
  local at = 3 * i - 4
  redis.call('SET', KEYS[i], ARGV[at + 1], 'EX', ARGV[at + 2])
  redis.call('ZADD', queue, ARGV[1], ARGV[at])
  longest = math.max(longest, tonumber(ARGV[at + 2]))
end
if redis.call('TTL', queue) < longest then
  redis.call('EXPIRE', queue, longest)
end
return #KEYS - 1
