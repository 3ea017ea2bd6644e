-- Which keys stand: a string of 1 and 0.
-- KEYS  the keys
local found = {}
for i = 1, #KEYS do
  found[i] = redis.call('EXISTS', KEYS[i])
end
return table.concat(found)
