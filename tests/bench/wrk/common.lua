-- What the scripts share. A request is a file: its path, then header fields, an empty line and the body; "%s" in the
-- body or in a header field is where a token goes.

function contents(path)
   local file = assert(io.open(path, "rb"))
   local text = file:read("*a")
   file:close()
   return text
end

function lines(path, first, count)
   local found, n = {}, 0
   for line in io.lines(path) do
      n = n + 1
      if n > first then found[#found + 1] = line end
      if #found == count then break end
   end
   assert(#found > 0, "no lines in " .. path)
   return found
end

-- The header block without its end and without Content-Length, and the body.
function parts(path)
   local head, body = contents(path):match("^(.-)\n\n(.*)$")
   local target, fields = head:match("^(.-)\n(.*)$")
   fields = fields:gsub("\n", "\r\n")
   return "POST " .. target .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\n" .. fields .. "\r\n", body
end

function filled(head, body, token)
   local whole = body:gsub("%%s", function() return token end)
   if head:find("%s", 1, true) then head = head:gsub("%%s", function() return token end) end
   return head .. "Content-Length: " .. #whole .. "\r\n\r\n" .. whole
end

-- Let a connection rest between its requests, so that all of them together come at a rate.
function pace(milliseconds)
   if milliseconds > 0 then
      delay = function() return math.random(0, 2 * milliseconds) end
   end
end
