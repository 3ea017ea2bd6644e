-- End a subject's generation and tell it: the negative of its last number stays for ARGV[2] seconds. That number; 0 or
-- less where it had ended before.
-- KEYS  the generation
-- ARGV  the channel; seconds
local number = tonumber(redis.call('GET', KEYS[1]) or '0')
if number > 0 then
  redis.call('SET', KEYS[1], -number, 'EX', ARGV[2])
end
redis.call('PUBLISH', ARGV[1], KEYS[1])
return number
