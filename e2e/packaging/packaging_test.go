// Package packaging tests what stands around the operator: the chart, config/, the GitOps files. A cluster is needed only where a test asks for one.
//
// Reference implementations judge wherever there is one: kstatus of cli-utils, the Lua that Argo CD embeds, the evaluator of Flux, the Pod
// Security admission of Kubernetes, the parser of Prometheus. Run by config/check.sh, which says where helm is.
package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const root = "../.."

func path(parts ...string) string {
	return filepath.Join(append([]string{root}, parts...)...)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// readYAML reads one document into a typed value; unknown fields are errors.
func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(read(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// object reads one resource with whole numbers as int64, as a client's decoder gives them.
func object(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	return decode(t, read(t, name))
}

func decode(t *testing.T, text []byte) *unstructured.Unstructured {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	found := &unstructured.Unstructured{}
	if err := found.UnmarshalJSON(asJSON); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return found
}

// objects decodes a stream of documents, by kind/namespace/name.
func objects(t *testing.T, stream []byte) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for _, document := range bytes.Split(append([]byte("\n"), stream...), []byte("\n---")) {
		var content map[string]any
		if err := yaml.Unmarshal(document, &content); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(content) == 0 {
			continue
		}
		one := decode(t, document)
		key := one.GetKind() + "/" + one.GetNamespace() + "/" + one.GetName()
		if found[key] != nil {
			t.Fatalf("%s stands there twice", key)
		}
		found[key] = one
	}
	return found
}

func run(t *testing.T, name string, arguments ...string) (string, string, error) {
	t.Helper()
	command := exec.Command(name, arguments...)
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err := command.Run()
	return out.String(), errors.String(), err
}

// helm runs $HELM with a version of Kubernetes that the chart accepts.
func helm(t *testing.T, arguments ...string) (string, string, error) {
	t.Helper()
	program := os.Getenv("HELM")
	if program == "" {
		t.Fatal("HELM is not set: run config/check.sh, which finds it")
	}
	return run(t, program, arguments...)
}

// template renders the chart with values given as text, or fails the test.
func template(t *testing.T, values string) map[string]*unstructured.Unstructured {
	t.Helper()
	return templateOf(t, path("charts", "godwit"), values)
}

func templateOf(t *testing.T, chart, values string) map[string]*unstructured.Unstructured {
	t.Helper()
	out, errors, err := tryTemplate(t, chart, values)
	if err != nil {
		t.Fatalf("%v: %s\nwith values\n%s", err, errors, values)
	}
	return objects(t, []byte(out))
}

func tryTemplate(t *testing.T, chart, values string) (string, string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := writeFile(file, values); err != nil {
		t.Fatal(err)
	}
	return helm(t, "template", "godwit", chart, "--namespace", "godwit-system", "--kube-version", "1.34.0", "--values", file)
}

func writeFile(name, text string) error {
	return os.WriteFile(name, []byte(text), 0o600)
}

// examples are the names of config/gitops/testdata without ending.
func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(path("config", "gitops", "testdata", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	return names
}
