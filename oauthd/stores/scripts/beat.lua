-- A heartbeat: a write, so that only a primary takes it, and its message, which comes after all that was told before.
-- Removing what is not there costs no memory: a full server still proves how fresh its readers are.
-- KEYS  a name that nothing stands under
-- ARGV  the channel; the heartbeat
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
