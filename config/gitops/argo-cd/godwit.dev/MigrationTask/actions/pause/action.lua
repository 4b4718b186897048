-- The task stands still and keeps its place.
obj.spec.desiredState = "Paused"
return obj
