//! Hand-written schemas of Kubernetes' own types: the generated ones would put a thousand lines of pod affinity into the CRD, and the API server
//! checks those fields again when the pod is created.

use super::cluster::{UNIT_CPU_RULE, UNIT_LEAST_CPU_MILLIS, UNIT_LEAST_MEMORY, UNIT_MEMORY_RULE};
use super::patterns::QUANTITY;
use schemars::{Schema, SchemaGenerator, json_schema};

/// `status.conditions`: merged by type, as Kubernetes' own resources do.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the resource's state.",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "What the condition is about, for example Ready."},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."},
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The generation of the spec that the condition was computed from."
                },
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When status last changed."},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, in one CamelCase word."},
                "message": {"type": "string", "maxLength": 32768, "description": "Why, in a sentence for a person."}
            }
        }
    })
}

/// A point in time, RFC 3339.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// CPU of a unit.
pub(crate) fn unit_cpu(_: &mut SchemaGenerator) -> Schema {
    quantity(&format!("{UNIT_LEAST_CPU_MILLIS}m"), UNIT_CPU_RULE)
}

/// Memory of a unit.
pub(crate) fn unit_memory(_: &mut SchemaGenerator) -> Schema {
    quantity(&UNIT_LEAST_MEMORY.to_string(), UNIT_MEMORY_RULE)
}

/// `resource.Quantity`: 2, "500m", "512Mi"; not less than `least`.
fn quantity(least: &str, message: &str) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": QUANTITY,
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": format!("isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('{least}')) >= 0"),
            "message": message
        }]
    })
}

/// `metav1.LabelSelector`.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 63},
                "description": "Labels that must all be there with these values."
            },
            "matchExpressions": {
                "type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic",
                "description": "Requirements that must all hold.",
                "items": {
                    "type": "object", "description": "One requirement.", "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "maxLength": 317, "description": "The label that is looked at."},
                        "operator": {
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label's value relates to values."
                        },
                        "values": {
                            "type": "array", "maxItems": 256, "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 63},
                            "description": "For In and NotIn; must be empty otherwise."
                        }
                    }
                }
            }
        }
    })
}

/// A list of `core/v1` `Toleration`.
pub(crate) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object", "description": "A taint that the pods put up with.",
            "properties": {
                "key": {"type": "string", "maxLength": 317, "description": "The taint's key; empty with Exists means every taint."},
                "operator": {"type": "string", "enum": ["Exists", "Equal"], "description": "Equal compares value, Exists does not."},
                "value": {"type": "string", "maxLength": 63, "description": "The taint's value, for Equal."},
                "effect": {
                    "type": "string", "enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"],
                    "description": "The taint's effect; left out: all."
                },
                "tolerationSeconds": {
                    "type": "integer", "format": "int64",
                    "description": "With NoExecute: how long the pod stays; left out: for ever."
                }
            }
        }
    })
}

/// `core/v1` `Affinity`, opened only one level deep.
pub(crate) fn affinity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "nodeAffinity": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "As in a pod: which nodes."
            },
            "podAffinity": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "As in a pod: near which pods."
            },
            "podAntiAffinity": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "As in a pod: away from which pods."
            }
        }
    })
}
