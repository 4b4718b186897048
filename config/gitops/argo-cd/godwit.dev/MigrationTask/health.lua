-- Health of a MigrationTask from its kstatus conditions.
-- Paused is Suspended, Failed and PrecheckFailed are Degraded, everything on its way is Progressing, in sync or ended is Healthy.
local hs = {status = "Progressing", message = "waits for the operator"}
if obj.status == nil then
  return hs
end
if obj.status.message ~= nil and obj.status.message ~= "" then
  hs.message = obj.status.message
elseif obj.status.phase ~= nil then
  hs.message = obj.status.phase
end
-- Until the operator has looked at the newest spec, what it says is about the one before.
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
elseif obj.status.phase == "Paused" then
  hs.status = "Suspended"
elseif conditions.Ready == "True" then
  hs.status = "Healthy"
end
return hs
