-- The task goes on where it stood.
obj.spec.desiredState = "Running"
return obj
