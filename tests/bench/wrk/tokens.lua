-- A token for each request: REQUEST TOKENS FIRST COUNT ORDER [REST]. Of the file of tokens `COUNT` lines after `FIRST`
-- are taken, in the order of the numbers in the file ORDER, or as they stand for "-"; after the last one again.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")

function init(words)
   local head, body = parts(words[1])
   local ready = {}
   for n, token in ipairs(lines(words[2], tonumber(words[3]), tonumber(words[4]))) do
      ready[n] = filled(head, body, token)
   end
   local order = {}
   if words[5] == "-" then
      for n = 1, #ready do order[n] = n end
   else
      for n, number in ipairs(lines(words[5], 0, -1)) do order[n] = tonumber(number) end
   end
   local at, last = 0, #order
   request = function()
      at = at % last + 1
      return ready[order[at]]
   end
   pace(tonumber(words[6] or "0"))
end
