{{/*
The rules that the operator needs wherever tasks are. Bound in the whole cluster, or in each watched namespace.
Comments stand in the rendered roles too, so that whoever reads them on a cluster's repository sees why.
*/}}
{{- define "godwit.taskRules" -}}
# Tasks: watched; patched for the finalizer that stops the engine before a task goes.
- apiGroups: [godwit.dev]
  resources: [migrationtasks]
  verbs: [get, list, watch, patch]
# What users see: phase, progress, conditions.
- apiGroups: [godwit.dev]
  resources: [migrationtasks/status]
  verbs: [patch]
# Engine pods name their task as owner with blockOwnerDeletion, which some clusters allow only to who may change its finalizers.
- apiGroups: [godwit.dev]
  resources: [migrationtasks/finalizers]
  verbs: [update]
# Engine pods: one for each task, made, watched, told of a new plan through an annotation (patch), stopped (delete). No exec, no logs.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# The plan of each engine, <task>-engine. The operator looks at those with its own label only; a role cannot select by label.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
# Whether a task's Secrets are there and have changed. The operator asks for metadata only and never for a value: the kubelet mounts them
# into the engine's pod. A role cannot say "metadata only"; whoever holds this token could read values, so guard it as you guard the Secrets.
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
# What happened to a task, for kubectl describe; patch counts repetitions.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
