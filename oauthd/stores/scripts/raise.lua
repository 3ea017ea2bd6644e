-- Raise a subject's generation and tell it; the number in force. One that has not begun or has ended stays so: 0.
-- KEYS  the generation
-- ARGV  the channel; '1' for a subject that needs no beginning
local number = 0
if ARGV[2] or tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then
  number = redis.call('INCR', KEYS[1])
end
redis.call('PUBLISH', ARGV[1], KEYS[1])
return number
