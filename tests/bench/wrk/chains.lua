-- Chains of refresh tokens: REQUEST TOKENS. A request spends the token of an answer that has come, and each answer brings
-- the next one; so no token is used twice, and there are as many chains under way as connections.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")

local free

function init(words)
   local head, body = parts(words[1])
   free = lines(words[2], 0, -1)
   request = function()
      return filled(head, body, table.remove(free) or "none-left")
   end
end

function response(status, headers, body)
   local token = status == 200 and body:match('"refresh_token":"([^"]+)"')
   if token then free[#free + 1] = token end
end
