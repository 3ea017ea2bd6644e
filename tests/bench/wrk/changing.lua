-- One token, but header fields that are never twice the same: REQUEST TOKEN KIND. "trace" are those that tracing adds
-- and that mean nothing to the server; "flood" is a field that nobody knows.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")

local function hexadecimal(digits)
   local found = {}
   for n = 1, digits do found[n] = string.format("%x", math.random(0, 15)) end
   return table.concat(found)
end

local function many(count, digits)
   local found = {}
   for n = 1, count do found[n] = hexadecimal(digits) end
   return found
end

function init(words)
   math.randomseed(os.time())
   local head, body = parts(words[1])
   local rest = filled("", body, words[2])
   -- Two lists whose lengths have no common divisor: no pair of them comes again within four thousand million.
   local traces, spans = many(65536, 32), many(65521, 16)
   local n = 0
   if words[3] == "trace" then
      request = function()
         n = n + 1
         local trace, span = traces[n % 65536 + 1], spans[n % 65521 + 1]
         return head .. "traceparent: 00-" .. trace .. "-" .. span .. "-01\r\nx-request-id: " .. span .. trace
            .. "\r\n" .. rest
      end
   else
      request = function()
         n = n + 1
         return head .. "x-flood: " .. traces[n % 65536 + 1] .. spans[n % 65521 + 1] .. "\r\n" .. rest
      end
   end
end
