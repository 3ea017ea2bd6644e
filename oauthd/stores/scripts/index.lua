-- Change an index of records that end, and clear away some that have ended.
-- KEYS  the index
-- ARGV  now; seconds the index must live on; how many members enter; when each of them ends (its score), and the member;
--       members that leave
local index, entering = KEYS[1], tonumber(ARGV[3])
local leaving = 4 + 2 * entering
if ARGV[leaving] then
  redis.call('ZREM', index, unpack(ARGV, leaving))
end
if entering == 0 then
  return 0
end
redis.call('ZADD', index, unpack(ARGV, 4, leaving - 1))
-- Some more than came: each change takes away more than it adds, and none blocks the server for a million.
local dead = #redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[1], 'LIMIT', 0, 16 + entering)
if dead > 0 then
  redis.call('ZREMRANGEBYRANK', index, 0, dead - 1)
end
if redis.call('TTL', index) < tonumber(ARGV[2]) then
  redis.call('EXPIRE', index, ARGV[2])
end
return dead
