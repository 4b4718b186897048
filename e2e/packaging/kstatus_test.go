package packaging

import (
	"context"
	"testing"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// What kstatus says of each example, and what Flux says with the expressions of config/gitops/flux/tasks.yaml ("" where they are not for it).
// "new" has no status yet: plain kstatus calls what has no conditions current, to Flux it is unknown and so waited for.
var expected = map[string]struct{ kstatus, flux string }{
	"new":                      {"Current", "Unknown"},
	"changed":                  {"InProgress", "InProgress"},
	"pending":                  {"InProgress", "InProgress"},
	"queued":                   {"InProgress", "InProgress"},
	"prechecking":              {"InProgress", "InProgress"},
	"precheckfailed":           {"Failed", "Failed"},
	"migratingschema":          {"InProgress", "Current"},
	"copying":                  {"InProgress", "Current"},
	"replicating":              {"Current", "Current"},
	"replicating-behind":       {"InProgress", "Current"},
	"cuttingover":              {"InProgress", "Current"},
	"completed":                {"Current", "Current"},
	"paused":                   {"Current", "Current"},
	"stopped":                  {"Current", "Current"},
	"retrying":                 {"InProgress", "InProgress"},
	"failed":                   {"Failed", "Failed"},
	"dedicatedcluster-ready":   {"Current", ""},
	"dedicatedcluster-inuse":   {"Terminating", ""},
	"dedicatedcluster-shrunk":  {"Current", ""},
	"dedicatedcluster-changed": {"InProgress", ""},
}

func TestKstatusOfEveryPhase(t *testing.T) {
	for _, name := range examples(t) {
		want, known := expected[name]
		if !known {
			t.Errorf("%s: say in this table what kstatus should say", name)
			continue
		}
		found, err := status.Compute(object(t, path("config", "gitops", "testdata", name+".yaml")))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if found.Status.String() != want.kstatus {
			t.Errorf("%s: kstatus says %s (%s), expected %s", name, found.Status, found.Message, want.kstatus)
		}
	}
}

func TestADeletedTaskIsTerminating(t *testing.T) {
	task := object(t, path("config", "gitops", "testdata", "replicating.yaml"))
	metadata := task.Object["metadata"].(map[string]any)
	metadata["deletionTimestamp"] = "2026-01-05T08:00:00Z"
	found, err := status.Compute(task)
	if err != nil || found.Status != status.TerminatingStatus {
		t.Errorf("%v, %v", found, err)
	}
}

func TestFluxHealthChecks(t *testing.T) {
	var kustomization struct {
		Spec struct {
			Checks []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(read(t, path("config", "gitops", "flux", "tasks.yaml")), &kustomization); err != nil {
		t.Fatal(err)
	}
	if len(kustomization.Spec.Checks) != 1 || kustomization.Spec.Checks[0].Kind != "MigrationTask" {
		t.Fatalf("one check for MigrationTask: %v", kustomization.Spec.Checks)
	}
	evaluator, err := cel.NewStatusEvaluator(&kustomization.Spec.Checks[0].HealthCheckExpressions)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range examples(t) {
		if expected[name].flux == "" {
			continue
		}
		found, err := evaluator.Evaluate(context.Background(), object(t, path("config", "gitops", "testdata", name+".yaml")))
		says := status.UnknownStatus.String() // what Flux takes an error for
		if err == nil {
			says = found.Status.String()
		}
		if says != expected[name].flux {
			t.Errorf("%s: Flux says %s (%v), expected %s", name, says, err, expected[name].flux)
		}
	}
}
