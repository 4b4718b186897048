-- Which buttons a MigrationTask has: what its state allows.
local desired = "Running"
if obj.spec.desiredState ~= nil then
  desired = obj.spec.desiredState
end
local phase = ""
if obj.status ~= nil and obj.status.phase ~= nil then
  phase = obj.status.phase
end
-- Stopped is final, Completed has nothing left to pause.
local ended = desired == "Stopped" or phase == "Stopped" or phase == "Completed"

local actions = {}
actions["pause"] = {["disabled"] = ended or desired ~= "Running"}
actions["resume"] = {["disabled"] = ended or desired ~= "Paused"}
actions["precheck-again"] = {["disabled"] = phase ~= "PrecheckFailed"}
actions["restart"] = {["disabled"] = ended or desired ~= "Running"}
return actions
