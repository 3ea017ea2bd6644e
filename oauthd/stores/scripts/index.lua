-- Enter a record into an index of records that end, and clear away some that have ended.
-- KEYS  the index
-- ARGV  when the record ends (the score); the member; now; seconds the index must live on for it; members that leave
local index = KEYS[1]
if ARGV[5] then
  redis.call('ZREM', index, unpack(ARGV, 5))
end
redis.call('ZADD', index, ARGV[1], ARGV[2])
-- A few at a time: each write takes away more than it adds, and none blocks the server for a million.
local dead = #redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[3], 'LIMIT', 0, 16)
if dead > 0 then
  redis.call('ZREMRANGEBYRANK', index, 0, dead - 1)
end
if redis.call('TTL', index) < tonumber(ARGV[4]) then
  redis.call('EXPIRE', index, ARGV[4])
end
return dead
