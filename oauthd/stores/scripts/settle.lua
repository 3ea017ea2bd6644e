-- Tell a common bucket what a process gave out; what it holds then, and how many processes told of it lately.
-- As `oauthd.protocol.rates.settled`, by the clock of the server: those of the nodes may differ.
-- KEYS  the bucket: a hash of its level, the time of that, and the time of each process that told
-- ARGV  tokens a second; tokens at most; tokens given out; the name of the process; seconds that its telling counts
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, burst, own = tonumber(ARGV[1]), tonumber(ARGV[2]), 'p:' .. ARGV[4]
local level, at, count = burst, now, 1
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  local name, value = kept[i], tonumber(kept[i + 1])
  if name == 'level' then
    level = value
  elseif name == 'at' then
    at = value
  elseif name ~= own then
    if now - value <= tonumber(ARGV[5]) then
      count = count + 1
    else
      redis.call('HDEL', KEYS[1], name)
    end
  end
end
level = math.min(burst, level + math.max(0, now - at) * rate) - tonumber(ARGV[3])
local told = string.format('%.17g', level)
redis.call('HSET', KEYS[1], 'level', told, 'at', string.format('%.17g', now), own, string.format('%.17g', now))
redis.call('EXPIRE', KEYS[1], math.ceil(math.min((burst - level) / rate, 86400) + tonumber(ARGV[5])) + 1)
return {told, count}
