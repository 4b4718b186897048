-- Health of a DedicatedCluster from its kstatus conditions.
local hs = {status = "Progressing", message = "waits for the operator"}
if obj.status == nil then
  return hs
end
if obj.status.message ~= nil and obj.status.message ~= "" then
  hs.message = obj.status.message
end
if obj.status.observedGeneration == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "waits for the operator to look at the changed spec"
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition.status
end
if conditions.Stalled == "True" then
  hs.status = "Degraded"
elseif conditions.Reconciling == "True" then
  hs.status = "Progressing"
elseif conditions.Ready == "True" then
  hs.status = "Healthy"
end
return hs
