-- Remove a record and tell everybody who may have kept something of it; what it was, for its indexes.
-- KEYS  the record
-- ARGV  the channel
local raw = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
-- Also where nothing stood: whoever repeats an uncertain removal wants it heard.
redis.call('PUBLISH', ARGV[1], KEYS[1])
return raw
