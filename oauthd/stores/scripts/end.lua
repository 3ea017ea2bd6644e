-- End a subject's generation: the negative of its last number stays for ARGV[1] seconds.
local number = tonumber(redis.call('GET', KEYS[1]) or '0')
if number > 0 then
  redis.call('SET', KEYS[1], -number, 'EX', ARGV[1])
end
return 0
