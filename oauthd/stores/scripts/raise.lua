-- Raise a subject's generation; the number in force. One that has not begun or has ended stays so: 0.
if tonumber(redis.call('GET', KEYS[1]) or '0') <= 0 then
  return 0
end
return redis.call('INCR', KEYS[1])
