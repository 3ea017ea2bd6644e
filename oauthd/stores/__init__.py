"""Layer 1: records in Redis or Valkey, and the only code that knows txredisapi and Lua."""
