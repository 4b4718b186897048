package packaging

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Modules in which others publish the CRDs of objects that we write: nothing is imported from them, so go.mod cannot name them.
var published = []struct{ module, sum, crds string }{
	{"github.com/fluxcd/source-controller@v1.7.3", "h1:gFfeBiNUgF0kFFGap/rrMeJqz+0Tod0ARENJO8w/UA8=", "config/crd/bases/*.yaml"},
	{"github.com/fluxcd/kustomize-controller@v1.7.3", "h1:SzNnGn/4ObAPEHHleM5U7y/AKxKXph3Vj6ZhteeXw8M=", "config/crd/bases/*.yaml"},
	{"github.com/fluxcd/helm-controller@v1.4.3", "h1:449LcGJXLCylvrNCq8ycevwa5mxE1Mn9vxTwlsj/no8=", "config/crd/bases/*.yaml"},
	{
		"github.com/prometheus-operator/prometheus-operator@v0.93.0", "h1:AohlYJT+En8TmNpAcEUJ3GsaJTAqfEBwHmGTVpRm/Io=",
		"example/prometheus-operator-crd/*_{servicemonitors,podmonitors,prometheusrules}.yaml",
	},
}

// crds of a module, from the cache of Go modules.
func crds(t *testing.T, module, sum, pattern string) []string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", module)
	// Outside of our own module, whose go.sum does not know it.
	command.Dir = t.TempDir()
	out, err := command.Output()
	var found struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil || err != nil {
		t.Fatalf("%s: %v %v %s", module, err, jsonErr, found.Error)
	}
	if found.Sum != sum {
		t.Fatalf("%s has the checksum %s, expected %s", module, found.Sum, sum)
	}
	var files []string
	before, after, _ := strings.Cut(pattern, "{")
	names, after, _ := strings.Cut(after, "}")
	for name := range strings.SplitSeq(names, ",") {
		matched, err := filepath.Glob(filepath.Join(found.Dir, before+name+after))
		if err != nil || len(matched) == 0 {
			t.Fatalf("%s has no %s%s%s", module, before, name, after)
		}
		files = append(files, matched...)
	}
	return files
}

// What we write for Flux and for the Prometheus operator is what they have published: no field that they do not know, no rule that is broken.
func TestObjectsOfOthersOnARealAPIServer(t *testing.T) {
	c := realCluster(t)
	for _, from := range published {
		for _, file := range crds(t, from.module, from.sum, from.crds) {
			c.kubectl(t, "apply", "--server-side", "-f", file)
		}
	}
	c.kubectl(t, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
	for _, name := range []string{"flux-system", "monitored"} {
		c.namespace(t, name)
	}
	dryRun := []string{"apply", "--server-side", "--validate=strict", "--dry-run=server"}
	c.kubectl(t, append(dryRun, "-k", path("config", "gitops", "flux"))...)

	// The chart from a registry, as the comments say.
	source := string(read(t, path("config", "gitops", "flux", "source.yaml")))
	_, commented, found := strings.Cut(source, "\n# ---\n")
	registry := regexp.MustCompile(`(?m)^# `).ReplaceAllString(commented, "")
	if !found || !strings.Contains(registry, "\nkind: OCIRepository\n") {
		t.Errorf("source.yaml has no OCIRepository in its comments: %q", commented)
	}
	c.apply(t, registry, "--dry-run=server")
	operator := read(t, path("config", "gitops", "flux", "operator.yaml"))
	var release map[string]any
	if err := yaml.Unmarshal(operator, &release); err != nil {
		t.Fatal(err)
	}
	reference := regexp.MustCompile(`(?m)^  # chartRef: (.*)$`).FindSubmatch(operator)
	if reference == nil {
		t.Fatal("operator.yaml has no chartRef in its comments")
	}
	var chartRef map[string]any
	if err := yaml.Unmarshal(reference[1], &chartRef); err != nil {
		t.Fatal(err)
	}
	spec := release["spec"].(map[string]any)
	delete(spec, "chart")
	spec["chartRef"] = chartRef
	text, err := yaml.Marshal(release)
	if err != nil {
		t.Fatal(err)
	}
	c.apply(t, string(text), "--dry-run=server")

	for name, object := range template(t, everything) {
		if kind, _, _ := strings.Cut(name, "/"); kind != "ServiceMonitor" && kind != "PodMonitor" && kind != "PrometheusRule" {
			continue
		}
		object.SetNamespace("monitored")
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		c.apply(t, string(text), "--dry-run=server")
	}
}
