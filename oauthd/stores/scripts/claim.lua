-- Take what is due, for a while: it is due again when that is over, and nobody else sees it before.
-- KEYS  the queue
-- ARGV  now; until when it is taken; how many at most
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  redis.call('ZADD', KEYS[1], ARGV[2], member)
end
return {redis.call('ZCARD', KEYS[1]), due}
