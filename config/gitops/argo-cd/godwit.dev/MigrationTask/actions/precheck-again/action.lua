-- The precheck is run again at once.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["godwit.dev/precheck-again"] = os.date("!%Y-%m-%dT%XZ")
return obj
