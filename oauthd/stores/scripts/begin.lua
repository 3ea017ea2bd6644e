-- Start a subject's generation unless it runs already, and tell it; the number in force.
-- An ended one is kept as the negative of its last number, so the new one stands above it.
-- KEYS  the generation
-- ARGV  the channel
local number = tonumber(redis.call('GET', KEYS[1]) or '0')
if number <= 0 then
  number = 1 - number
  redis.call('SET', KEYS[1], number)
  redis.call('PUBLISH', ARGV[1], KEYS[1])
end
return number
