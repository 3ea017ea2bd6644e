-- Write that something is no more, and tell everybody who may have kept something of it.
-- KEYS  the record of its end
-- ARGV  the channel; the record; the seconds for which it stays
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('PUBLISH', ARGV[1], KEYS[1])
return 1
