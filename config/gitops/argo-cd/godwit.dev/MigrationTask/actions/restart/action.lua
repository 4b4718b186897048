-- The engine's pod is started anew; the task goes on where it stood.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["godwit.dev/restart"] = os.date("!%Y-%m-%dT%XZ")
return obj
