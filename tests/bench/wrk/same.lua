-- The same request again and again: REQUEST [TOKEN [REST]]. wrk makes it once, when no rest between requests is asked for.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "common.lua")

function init(words)
   local head, body = parts(words[1])
   local whole = filled(head, body, words[2] or "")
   wrk.request = function() return whole end
   wrk.format = function() return whole end
   pace(tonumber(words[3] or "0"))
end
