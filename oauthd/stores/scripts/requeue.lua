-- Change a record that was taken, and let it wait again or no more; only for whoever holds it still. 1 when done.
-- KEYS  the queue, and the record
-- ARGV  until when it was taken; when it is due next, empty for never; member; raw record; seconds to live
local held = redis.call('ZSCORE', KEYS[1], ARGV[3])
if not held or tonumber(held) ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[1], ARGV[3])
else
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
end
return 1
