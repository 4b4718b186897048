package packaging

import (
	"maps"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// Values that turn on everything.
const everything = `
replicas: 2
imagePullSecrets: [{name: registry}]
image: {repository: registry.example.com:5000/godwit, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
metrics:
  serviceMonitor: {enabled: true, labels: {release: prometheus}}
  podMonitor: {enabled: true}
  prometheusRule: {enabled: true, queuedFor: 30m, latencySeconds: 10}
  dashboard: {enabled: true}
networkPolicy: {enabled: true, metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
commonLabels: {team: data}
commonAnnotations: {owner: dba@example.com}
podAnnotations: {a: b}
podLabels: {c: d}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}]
priorityClassName: system-cluster-critical
nodeSelector: {a: b}
tolerations: [{key: x, operator: Exists}]
affinity: {nodeAffinity: {}}
extraEnv: [{name: RUST_BACKTRACE, value: "1"}]
extraArgs: [--concurrency=4]
serviceAccount: {annotations: {role: none}}
`

func TestLint(t *testing.T) {
	out, errors, err := helm(t, "lint", path("charts", "godwit"), "--strict")
	if err != nil {
		t.Fatalf("%s%s", out, errors)
	}
}

// One version for program, chart and image.
func TestVersion(t *testing.T) {
	version := regexp.MustCompile(`(?m)^version = "(.*)"$`).FindStringSubmatch(string(read(t, path("Cargo.toml"))))[1]
	var chart struct {
		Version    string `json:"version"`
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(read(t, path("charts", "godwit", "Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != version || chart.AppVersion != version {
		t.Errorf("Cargo.toml has version %s, the chart %s and appVersion %s", version, chart.Version, chart.AppVersion)
	}
}

// docs/kubernetes.md has a line for every value.
func TestValuesAreDocumented(t *testing.T) {
	var values map[string]any
	readYAML(t, path("charts", "godwit", "values.yaml"), &values)
	documented := string(read(t, path("docs", "kubernetes.md")))
	for name := range values {
		if !regexp.MustCompile("`" + name + "[`.]").MatchString(documented) {
			t.Errorf("docs/kubernetes.md does not have the value %s", name)
		}
	}
}

// The objects of config/default are those of the chart's defaults, but for what belongs to Helm and the namespace.
func TestConfigIsTheChart(t *testing.T) {
	fromChart := template(t, "{}")
	out, errors, err := run(t, "kubectl", "kustomize", path("config", "default"))
	if err != nil {
		t.Fatal(errors)
	}
	fromConfig := objects(t, []byte(out))
	delete(fromConfig, "Namespace//godwit-system")
	names := func(all map[string]*unstructured.Unstructured) []string { return slices.Sorted(maps.Keys(all)) }
	if !slices.Equal(names(fromChart), names(fromConfig)) {
		t.Fatalf("the chart has %v\nconfig has %v", names(fromChart), names(fromConfig))
	}
	for name, chart := range fromChart {
		withoutHelm(chart)
		withoutHelm(fromConfig[name])
		if !reflect.DeepEqual(chart.Object, fromConfig[name].Object) {
			t.Errorf("%s differs: run config/render.sh\nchart  %v\nconfig %v", name, chart.Object, fromConfig[name].Object)
		}
	}
}

func withoutHelm(object *unstructured.Unstructured) {
	labels := object.GetLabels()
	delete(labels, "helm.sh/chart")
	delete(labels, "app.kubernetes.io/managed-by")
	object.SetLabels(labels)
	annotations := object.GetAnnotations()
	delete(annotations, "helm.sh/resource-policy")
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
}

// The CRDs of the chart are those of crds/ with labels and annotations added.
func TestCrdsAreTheProjects(t *testing.T) {
	rendered := template(t, everything)
	for _, plural := range []string{"migrationtasks", "dedicatedclusters"} {
		chart := rendered["CustomResourceDefinition//"+plural+".godwit.dev"]
		if chart == nil {
			t.Fatalf("the chart has no CRD of %s", plural)
		}
		if chart.GetAnnotations()["helm.sh/resource-policy"] != "keep" || chart.GetLabels()["team"] != "data" {
			t.Errorf("%s: %v %v", plural, chart.GetAnnotations(), chart.GetLabels())
		}
		project := object(t, path("crds", "godwit.dev_"+plural+".yaml"))
		chart.SetLabels(nil)
		chart.SetAnnotations(nil)
		if !reflect.DeepEqual(chart.Object, project.Object) {
			t.Errorf("the chart's CRD of %s is not that of crds/: run config/render.sh", plural)
		}
	}
	for name := range template(t, "crds: {install: false}") {
		if strings.HasPrefix(name, "CustomResourceDefinition/") {
			t.Errorf("%s in spite of crds.install: false", name)
		}
	}
}

// Wrong values are refused, with the value's name in the message.
func TestBadValues(t *testing.T) {
	for values, named := range map[string]string{
		"replica: 2":                                      "replica",
		"replicas: two":                                   "replicas",
		"replicas: -1":                                    "replicas",
		"image: {repository: \"UPPER case\"}":             "repository",
		"image: {pullPolicy: Sometimes}":                  "pullPolicy",
		"image: {digest: sha256:12}":                      "digest",
		"image: {tag: \"a b\"}":                           "tag",
		"engine: {tag: x}":                                "engine",
		"engine: {podLabels: {godwit.dev/task: x}}":       "godwit.dev/task",
		"engine: {podAnnotations: {godwit.dev/plan: x}}":  "godwit.dev/plan",
		"engine: {podLabels: {a: \"b c\"}}":               "podLabels",
		"watchNamespaces: shop":                           "watchNamespaces",
		"watchNamespaces: [Shop]":                         "watchNamespaces",
		"watchNamespaces: [shop, shop]":                   "watchNamespaces",
		"defaultPool: {units: -1}":                        "units",
		"defaultPool: {cpu: half}":                        "cpu",
		"defaultPool: {memory: 1 GB}":                     "memory",
		"retryRule: Longest":                              "retryRule",
		"log: {format: xml}":                              "format",
		"imagePullSecrets: [registry]":                    "imagePullSecrets",
		"runAsUser: 0":                                    "runAsUser",
		"metrics: {service: {port: 70000}}":               "port",
		"metrics: {serviceMonitor: {interval: often}}":    "interval",
		"metrics: {prometheusRules: {enabled: true}}":     "prometheusRules",
		"networkPolicy: {apiServer: {cidr: here}}":        "cidr",
		"networkPolicy: {apiServer: {ports: []}}":         "ports",
		"podLabels: {a: 1}":                               "podLabels",
		"resources: {requests: {cpu: lots}}":              "cpu",
		"podDisruptionBudget: {maxUnavailable: half}":     "maxUnavailable",
		"{replicas: 2, leaderElection: {enabled: false}}": "leaderElection",
		"metrics: {serviceMonitor: {enabled: true}, service: {enabled: false}}": "metrics.service.enabled",
	} {
		_, errors, err := tryTemplate(t, path("charts", "godwit"), values)
		if err == nil {
			t.Errorf("%s is accepted", values)
		} else if !strings.Contains(errors, named) {
			t.Errorf("%s is refused without naming %s: %s", values, named, errors)
		}
	}
}

// Every value of values.yaml is in the schema with a description, and the schema has no value that values.yaml lacks.
func TestSchemaDescribesEveryValue(t *testing.T) {
	var schema, values map[string]any
	readYAML(t, path("charts", "godwit", "values.schema.json"), &schema)
	readYAML(t, path("charts", "godwit", "values.yaml"), &values)
	compareValues(t, "", schema, values)
}

func compareValues(t *testing.T, place string, schema, values map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		property := property.(map[string]any)
		if text, _ := property["description"].(string); text == "" {
			t.Errorf("%s%s has no description", place, name)
		}
		value, found := values[name]
		// global is Helm's own, claims nobody has by default.
		if !found && name != "global" && name != "claims" {
			t.Errorf("%s%s is not in values.yaml", place, name)
		}
		if below, isMap := value.(map[string]any); isMap && property["properties"] != nil {
			if property["additionalProperties"] != false {
				t.Errorf("%s%s lets unknown names in", place, name)
			}
			compareValues(t, place+name+".", property, below)
		}
	}
	for name := range values {
		if properties[name] == nil {
			t.Errorf("%s%s is not in the schema", place, name)
		}
	}
}

// What the operator may do: no wildcard, no role that grants itself more, nothing on Secrets but list and watch, and in namespaced mode nothing
// about pods, Secrets, tasks outside of the watched namespaces.
func TestRoles(t *testing.T) {
	for mode, values := range map[string]string{"cluster": "{}", "namespaced": "watchNamespaces: [shop, data]"} {
		rendered := template(t, values)
		for name, object := range rendered {
			kind := object.GetKind()
			if kind != "Role" && kind != "ClusterRole" {
				continue
			}
			rules, _, _ := unstructured.NestedSlice(object.Object, "rules")
			for _, rule := range rules {
				checkRule(t, mode, name, object, rule.(map[string]any))
			}
		}
	}
}

func checkRule(t *testing.T, mode, name string, object *unstructured.Unstructured, rule map[string]any) {
	texts := func(field string) []string {
		found, _, _ := unstructured.NestedStringSlice(rule, field)
		return found
	}
	verbs, resources, groups := texts("verbs"), texts("resources"), texts("apiGroups")
	for _, text := range slices.Concat(verbs, resources, groups) {
		if strings.Contains(text, "*") {
			t.Errorf("%s: a wildcard: %v", name, rule)
		}
	}
	for _, verb := range []string{"escalate", "bind", "impersonate"} {
		if slices.Contains(verbs, verb) {
			t.Errorf("%s: %s", name, verb)
		}
	}
	for _, resource := range resources {
		if resource == "secrets" && !slices.Equal(verbs, []string{"list", "watch"}) {
			t.Errorf("%s: more on Secrets than their metadata needs: %v", name, verbs)
		}
		if strings.HasPrefix(resource, "pods/") || slices.Contains(groups, "rbac.authorization.k8s.io") {
			t.Errorf("%s: %v", name, rule)
		}
		forPeople := object.GetLabels()["rbac.authorization.k8s.io/aggregate-to-view"] != "" ||
			object.GetLabels()["rbac.authorization.k8s.io/aggregate-to-edit"] != ""
		if mode == "namespaced" && object.GetKind() == "ClusterRole" && !forPeople {
			if slices.Contains([]string{"pods", "secrets", "configmaps", "events", "migrationtasks", "migrationtasks/status"}, resource) {
				t.Errorf("%s: %s in the whole cluster in spite of watchNamespaces", name, resource)
			}
		}
	}
}

// Each rule has a comment above it that says why.
func TestRulesSayWhy(t *testing.T) {
	for _, file := range []string{"operator.yaml", "users.yaml"} {
		lines := strings.Split(string(read(t, path("config", "rbac", file))), "\n")
		rules := 0
		for number, line := range lines {
			if !strings.HasPrefix(line, "  - apiGroups:") {
				continue
			}
			rules++
			if number == 0 || !strings.HasPrefix(lines[number-1], "  # ") {
				t.Errorf("%s:%d: a rule without its reason", file, number+1)
			}
		}
		if rules == 0 {
			t.Errorf("%s has no rules", file)
		}
	}
}

// The reference implementation of Pod Security admission lets the operator's pod into a namespace of level restricted.
func TestRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range []string{"{}", everything, "{runAsUser: null, runAsGroup: null}"} {
		var deployment appsv1.Deployment
		object := template(t, values)["Deployment/godwit-system/godwit"]
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &deployment, true); err != nil {
			t.Fatal(err)
		}
		pod := deployment.Spec.Template
		level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
		if !result.Allowed {
			t.Errorf("%s with\n%s", result.ForbiddenDetail(), values)
		}
		for _, container := range pod.Spec.Containers {
			if security := container.SecurityContext; security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
				t.Errorf("%s: the root file system can be written", container.Name)
			}
		}
		if len(object.GetLabels()) == 0 || deployment.Spec.Selector == nil {
			t.Error("no selector")
		}
		for label, value := range deployment.Spec.Selector.MatchLabels {
			if pod.Labels[label] != value {
				t.Errorf("the selector asks for %s=%s", label, value)
			}
		}
	}
}

func operatorContainer(t *testing.T, values string) map[string]any {
	t.Helper()
	containers, _, _ := unstructured.NestedSlice(template(t, values)["Deployment/godwit-system/godwit"].Object, "spec", "template", "spec", "containers")
	return containers[0].(map[string]any)
}

// Every choice reaches the operator's command line.
func TestArguments(t *testing.T) {
	for values, wanted := range map[string]string{
		"{}":                                      "--leader-elect=true",
		"{runAsUser: null, runAsGroup: null}":     "--engine-user=none --engine-group=none",
		"runAsUser: 1000":                         "--engine-user=1000",
		"engine: {podLabels: {team: data}}":       "--engine-pod-label=team=data",
		"{nameOverride: \"\"}":                    "--engine-pod-annotation=cluster-autoscaler.kubernetes.io/safe-to-evict=false",
		"{fullnameOverride: \"\"}":                "--engine-pod-label=sidecar.istio.io/inject=false",
		"leaderElection: {enabled: false}":        "--leader-elect=false",
		"watchNamespaces: [shop, data]":           "--watch-namespace=shop --watch-namespace=data",
		"defaultPool: {units: 100000}":            "--default-units=100000",
		"defaultPool: {cpu: 2}":                   "--default-unit-cpu=2",
		"defaultPool: {memory: 1Gi}":              "--default-unit-memory=1Gi",
		"retryRule: LastSet":                      "--retry-rule=LastSet",
		"imagePullSecrets: [{name: a},{name: b}]": "--image-pull-secret=a --image-pull-secret=b",
		"engine: {image: {pullPolicy: Always}}":   "--image-pull-policy=Always",
		"image: {pullPolicy: Never}":              "--image-pull-policy=Never",
		"engine: {readySeconds: 30}":              "--engine-ready-seconds=30",
		"concurrency: 8":                          "--concurrency=8",
		"apiClient: {qps: 50}":                    "--api-qps=50",
		"log: {format: text, level: \"godwit::operator=debug,warn\"}": "--log-format=text --log-level=godwit::operator=debug,warn",
		"extraArgs: [\"--concurrency=3\"]":                            "--concurrency=3",
	} {
		arguments, _, _ := unstructured.NestedStringSlice(operatorContainer(t, values), "args")
		if joined := strings.Join(arguments, " "); arguments[0] != "operator" || !strings.Contains(joined, wanted) {
			t.Errorf("%s: %s, expected %s", values, joined, wanted)
		}
	}
	arguments, _, _ := unstructured.NestedStringSlice(operatorContainer(t, "{}"), "args")
	for _, optional := range []string{"--concurrency", "--api-", "--engine-ready", "--watch-namespace", "--image-pull-secret"} {
		if strings.Contains(strings.Join(arguments, " "), optional) {
			t.Errorf("%s without anybody asking", optional)
		}
	}
}

func TestImages(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for values, wanted := range map[string][2]string{
		"{}":                                  {"localhost/godwit:0.1.0", "localhost/godwit:0.1.0"},
		"image: {tag: v9}":                    {"localhost/godwit:v9", "localhost/godwit:v9"},
		"image: {digest: \"" + digest + "\"}": {"localhost/godwit@" + digest, "localhost/godwit@" + digest},
		"engine: {image: {tag: v9}}":          {"localhost/godwit:0.1.0", "localhost/godwit:v9"},
		"{image: {tag: v1, digest: \"" + digest + "\"}, engine: {image: {repository: r.example.com/e}}}": {"localhost/godwit@" + digest, "r.example.com/e:v1"},
	} {
		container := operatorContainer(t, values)
		environment, _, _ := unstructured.NestedSlice(container, "env")
		engine := ""
		for _, variable := range environment {
			if variable := variable.(map[string]any); variable["name"] == "GODWIT_ENGINE_IMAGE" {
				engine, _ = variable["value"].(string)
			}
		}
		if found := [2]string{container["image"].(string), engine}; found != wanted {
			t.Errorf("%s: %v, expected %v", values, found, wanted)
		}
	}
}

// What is behind values is there when asked for and only then.
func TestOptionalObjects(t *testing.T) {
	optional := []string{
		"PodDisruptionBudget/godwit-system/godwit", "ServiceMonitor/godwit-system/godwit", "PodMonitor/godwit-system/godwit-engines",
		"PrometheusRule/godwit-system/godwit", "ConfigMap/godwit-system/godwit-dashboard",
	}
	policies := []string{"NetworkPolicy/godwit-system/godwit", "NetworkPolicy/godwit-system/godwit-engines"}
	without, with := template(t, "{}"), template(t, everything)
	for _, name := range optional {
		if without[name] != nil {
			t.Errorf("%s by default", name)
		}
		if with[name] == nil {
			t.Errorf("no %s though asked for", name)
		}
	}
	open := template(t, "networkPolicy: {enabled: false}")
	for _, name := range policies {
		if without[name] == nil || with[name] == nil {
			t.Errorf("no %s though nobody declined it", name)
		}
		if open[name] != nil {
			t.Errorf("%s though it was declined", name)
		}
	}
	for name, object := range with {
		if object.GetLabels()["team"] != "data" || object.GetAnnotations()["owner"] != "dba@example.com" {
			t.Errorf("%s lacks the common label or annotation", name)
		}
	}
	for _, values := range []string{"rbac: {create: false, aggregate: false}", "{serviceAccount: {create: false}, metrics: {service: {enabled: false}}}"} {
		kinds := regexp.MustCompile(`^(Role|ClusterRole|RoleBinding|ClusterRoleBinding|ServiceAccount|Service)/`)
		for name := range template(t, values) {
			if kinds.MatchString(name) && strings.Contains(values, "rbac") != (strings.HasPrefix(name, "Service")) {
				t.Errorf("%s in spite of %s", name, values)
			}
		}
	}
	namespaced := template(t, everything+"\nwatchNamespaces: [shop, data]\n")
	for _, name := range []string{"NetworkPolicy/shop/godwit-engines", "NetworkPolicy/data/godwit-engines", "Role/shop/godwit-tasks", "RoleBinding/data/godwit-tasks", "Role/default/godwit-events"} {
		if namespaced[name] == nil {
			t.Errorf("no %s with watchNamespaces", name)
		}
	}
}

func TestKustomizations(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatal("kubectl is not on the PATH")
	}
	for _, folder := range []string{"crd", "rbac", "manager", "default", "registry", "samples", "gitops/flux"} {
		out, errors, err := run(t, "kubectl", "kustomize", path("config", folder))
		if err != nil {
			t.Errorf("%s: %s", folder, errors)
		}
		objects(t, []byte(out))
	}
	out, _, _ := run(t, "kubectl", "kustomize", path("config", "registry"))
	if found := strings.Count(out, "registry.example.com/godwit:0.1.0"); found != 2 {
		t.Errorf("config/registry names its image %d times, expected for the operator and for engines", found)
	}
}

// The notes that Helm prints after an installation with these values.
func notesOf(t *testing.T, values string) string {
	t.Helper()
	// helm shows the notes only when it talks to a cluster: a copy of the chart with the notes in a ConfigMap.
	chart := t.TempDir() + "/godwit"
	if err := os.CopyFS(chart, os.DirFS(path("charts", "godwit"))); err != nil {
		t.Fatal(err)
	}
	notes := `{{- define "notes" -}}` + string(read(t, chart+"/templates/NOTES.txt")) + `{{- end -}}`
	shown := `{apiVersion: v1, kind: ConfigMap, metadata: {name: notes}, data: {notes: {{ include "notes" . | toJson }}}}`
	for name, text := range map[string]string{"_notes.tpl": notes, "notes.yaml": shown} {
		if err := writeFile(chart+"/templates/"+name, text); err != nil {
			t.Fatal(err)
		}
	}
	text, _, _ := unstructured.NestedString(templateOf(t, chart, values)["ConfigMap//notes"].Object, "data", "notes")
	return text
}

func TestNotes(t *testing.T) {
	for values, wanted := range map[string]string{
		"{}":                             "all namespaces",
		"watchNamespaces: [shop]":        "-n shop create secret",
		"crds: {install: false}":         "kubectl apply --server-side -f crds/",
		"networkPolicy: {enabled: true}": "Other namespaces with tasks need a policy of their own",
		"crds: {keep: true}":             "kubectl delete migrationtasks --all -A\n     kubectl delete dedicatedclusters --all\n     helm uninstall godwit",
	} {
		text := notesOf(t, values)
		if !strings.Contains(text, wanted) || !strings.Contains(text, "rollout status deployment/godwit") {
			t.Errorf("%s: the notes do not say %q:\n%s", values, wanted, text)
		}
	}
}
