package packaging

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// A real API server, as e2e/cluster tells of it in one line of JSON (mode cp is enough). config/check.sh starts one.
type cluster struct {
	Kubeconfig, Kubectl, Helm string
}

func realCluster(t *testing.T) cluster {
	t.Helper()
	line := os.Getenv("GODWIT_PACKAGING_CLUSTER")
	if line == "" {
		t.Skip("GODWIT_PACKAGING_CLUSTER is not set: config/check.sh starts a cluster")
	}
	var found cluster
	if err := json.Unmarshal([]byte(line), &found); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", found.Kubeconfig)
	return found
}

func (c cluster) kubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	out, errors, err := run(t, c.Kubectl, arguments...)
	if err != nil {
		t.Fatalf("kubectl %s: %s%s", strings.Join(arguments, " "), out, errors)
	}
	return out
}

func (c cluster) helm(t *testing.T, arguments ...string) string {
	t.Helper()
	out, errors, err := run(t, c.Helm, arguments...)
	if err != nil {
		t.Fatalf("helm %s: %s%s", strings.Join(arguments, " "), out, errors)
	}
	return out
}

// What helm said, and whether it failed.
func (c cluster) tryHelm(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	out, errors, err := run(t, c.Helm, arguments...)
	return out + errors, err
}

func (c cluster) namespace(t *testing.T, name string) {
	t.Helper()
	c.apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+name+`, labels: {pod-security.kubernetes.io/enforce: restricted}}}`)
}

func (c cluster) apply(t *testing.T, text string, more ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := writeFile(file, text); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, append([]string{"apply", "--server-side", "--validate=strict", "-f", file}, more...)...)
}

// Everything that a user applies is taken by a real API server, unknown fields refused.
func TestOnARealAPIServer(t *testing.T) {
	c := realCluster(t)
	chart := path("charts", "godwit")

	c.namespace(t, "godwit-system")
	c.kubectl(t, "apply", "--server-side", "--validate=strict", "--dry-run=server", "-k", path("config", "default"))
	notes := c.helm(t, "install", "godwit", chart, "--namespace", "godwit-system")
	if !strings.Contains(notes, "STATUS: deployed") {
		t.Error(notes)
	}
	c.kubectl(t, "wait", "--for=condition=Established", "crd/migrationtasks.godwit.dev", "crd/dedicatedclusters.godwit.dev", "--timeout=30s")
	c.permissions(t, "system:serviceaccount:godwit-system:godwit", map[string]bool{
		"create pods -n data": true, "create pods --subresource=exec -n data": false, "get pods --subresource=log -n data": false,
		"list secrets -n data": true, "get secrets -n data": false, "create secrets -n data": false,
		"patch migrationtasks -n data": true, "patch migrationtasks --subresource=status -n data": true,
		"update migrationtasks --subresource=finalizers -n data": true, "delete migrationtasks -n data": false, "create migrationtasks -n data": false,
		"patch dedicatedclusters --subresource=status": true, "delete dedicatedclusters": false, "list nodes": true, "patch nodes": false,
		"create events.events.k8s.io -n data": true, "update leases.coordination.k8s.io -n godwit-system": true,
		"update leases.coordination.k8s.io -n data": false, "create clusterroles": false, "create deployments -n data": false,
	})
	c.operatorPodIsRestricted(t)

	c.namespace(t, "data")
	for _, sample := range c.samples(t) {
		c.kubectl(t, "apply", "--server-side", "--validate=strict", "-f", sample)
	}
	if tasks := c.kubectl(t, "get", "migrationtasks", "-A", "-o", "name"); strings.Count(tasks, "\n") != len(c.samples(t)) {
		t.Errorf("one task in each sample: %s", tasks)
	}
	for _, name := range examples(t) {
		file := path("config", "gitops", "testdata", name+".yaml")
		// Nobody can apply what is being deleted.
		if object(t, file).GetDeletionTimestamp() == nil {
			c.kubectl(t, "apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", file)
		}
	}

	c.helm(t, "uninstall", "godwit", "--namespace", "godwit-system")
	if tasks := c.kubectl(t, "get", "migrationtasks", "-A", "-o", "name"); tasks == "" {
		t.Error("uninstalling the chart took the tasks with it")
	}

	// Into some namespaces only, with all that needs no foreign CRD.
	c.namespace(t, "shop")
	c.namespace(t, "bounded")
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := writeFile(values, "{watchNamespaces: [shop, data], replicas: 2, networkPolicy: {enabled: true}, metrics: {dashboard: {enabled: true}}, crds: {install: false}}"); err != nil {
		t.Fatal(err)
	}
	c.helm(t, "install", "godwit", chart, "--namespace", "bounded", "--values", values)
	c.permissions(t, "system:serviceaccount:bounded:godwit", map[string]bool{
		"list secrets -n shop": true, "create pods -n data": true, "list secrets -n default": false, "create pods -n kube-system": false,
		"list migrationtasks -A": false, "watch migrationtasks -n shop": true, "watch dedicatedclusters": true, "create events.events.k8s.io -n default": true,
		"list pods -n bounded": false, "create leases.coordination.k8s.io -n bounded": true,
	})
	c.helm(t, "uninstall", "godwit", "--namespace", "bounded")

	// Over CRDs that are on their way out an installation would lose them a moment later.
	c.kubectl(t, "patch", "crd", "migrationtasks.godwit.dev", "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/hold"]}}`)
	c.kubectl(t, "delete", "crd", "migrationtasks.godwit.dev", "--wait=false")
	if said, err := c.tryHelm(t, "install", "godwit", chart, "--namespace", "godwit-system"); err == nil || !strings.Contains(said, "migrationtasks.godwit.dev is being deleted") {
		t.Errorf("installed over CRDs that go: %v %s", err, said)
	}
	c.kubectl(t, "patch", "crd", "migrationtasks.godwit.dev", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
}

func (c cluster) samples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(path("config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var samples []string
	for _, file := range files {
		if filepath.Base(file) != "kustomization.yaml" {
			samples = append(samples, file)
		}
	}
	return samples
}

func (c cluster) permissions(t *testing.T, account string, expected map[string]bool) {
	t.Helper()
	for question, allowed := range expected {
		// The exit code is the answer as well, so it is no error.
		out, errors, _ := run(t, c.Kubectl, append([]string{"auth", "can-i", "--as", account}, strings.Fields(question)...)...)
		answer := strings.TrimSpace(out)
		if answer != "yes" && !strings.HasPrefix(answer, "no") {
			t.Fatalf("%s: %s%s", question, out, errors)
		}
		if (answer == "yes") != allowed {
			t.Errorf("%s may %s: %s", account, question, answer)
		}
	}
}

// The namespace enforces restricted: the API server itself judges the pod that the Deployment would make.
func (c cluster) operatorPodIsRestricted(t *testing.T) {
	t.Helper()
	var deployment appsv1.Deployment
	if err := json.Unmarshal([]byte(c.kubectl(t, "get", "deployment", "godwit", "-n", "godwit-system", "-o", "json")), &deployment); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(deployment.Spec.Template.Spec)
	if err != nil {
		t.Fatal(err)
	}
	pod := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "judged", "namespace": "godwit-system"}, "spec": ` + string(spec) + `}`
	c.apply(t, pod, "--dry-run=server")
}
