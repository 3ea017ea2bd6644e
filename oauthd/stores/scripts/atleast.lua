-- What a subject's generation must be at least: this process saw it there, and another server may not know. Tells it.
-- One that has not begun or has ended stays so, and one that began anew stands above all that it had before.
-- KEYS  the generation
-- ARGV  the channel; the number; for a subject that was ended: the seconds for which its last number stays, else 0;
--       '1' for a subject that needs no beginning
local number, least = tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[2])
if number > 0 or ARGV[4] then
  if tonumber(ARGV[3]) > 0 then
    if number <= least then
      redis.call('SET', KEYS[1], -least, 'EX', ARGV[3])
    end
  elseif number < least then
    redis.call('SET', KEYS[1], least)
  end
end
redis.call('PUBLISH', ARGV[1], KEYS[1])
return 1
