package packaging

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Dashboards use variables that Prometheus does not know.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$namespace", "data", "$task", "shop")

// expressions of the alerts and of the dashboard.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	rendered := template(t, everything)
	found := map[string]string{}
	groups, _, _ := unstructured.NestedSlice(rendered["PrometheusRule/godwit-system/godwit"].Object, "spec", "groups")
	for _, group := range groups {
		for _, rule := range group.(map[string]any)["rules"].([]any) {
			rule := rule.(map[string]any)
			name := rule["alert"].(string)
			found["alert "+name] = rule["expr"].(string)
			annotations := rule["annotations"].(map[string]any)
			if len(annotations["summary"].(string)) < 20 || len(annotations["description"].(string)) < 80 {
				t.Errorf("%s does not say what to do", name)
			}
		}
	}
	text, _, _ := unstructured.NestedString(rendered["ConfigMap/godwit-system/godwit-dashboard"].Object, "data", "godwit.json")
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			t.Errorf("panel %d stands there twice", panel.ID)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			found["panel "+panel.Title+" "+target.Expr] = variables.Replace(target.Expr)
		}
	}
	if len(found) < 30 {
		t.Errorf("only %d expressions", len(found))
	}
	return found
}

// Every expression is PromQL, and each metric in it is one that docs/kubernetes.md lists; the engine's are those of src/http/metrics.rs.
func TestExpressions(t *testing.T) {
	documented := string(read(t, path("docs", "kubernetes.md")))
	engine := string(read(t, path("src", "http", "metrics.rs")))
	suffixes := regexp.MustCompile(`_(total|bucket|sum|count)$`)
	for place, expression := range expressions(t) {
		parsed, err := parser.ParseExpr(expression)
		if err != nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		for _, selectors := range parser.ExtractSelectors(parsed) {
			name := metricName(selectors)
			if !strings.Contains(documented, "`"+name+"`") && !strings.Contains(documented, "`"+suffixes.ReplaceAllString(name, "")+"`") {
				t.Errorf("%s: docs/kubernetes.md does not list %s", place, name)
			}
			if strings.HasPrefix(name, "godwit_operator_") {
				continue
			}
			plain := strings.TrimPrefix(suffixes.ReplaceAllString(name, ""), "godwit_")
			if !strings.Contains(engine, `"`+plain+`"`) && !strings.Contains(engine, `"`+strings.TrimSuffix(plain, "_seconds")+`"`) {
				t.Errorf("%s: the engine has no metric %s", place, name)
			}
		}
	}
}

func metricName(selectors []*labels.Matcher) string {
	for _, matcher := range selectors {
		if matcher.Name == labels.MetricName {
			return matcher.Value
		}
	}
	return ""
}

// Who scrapes finds what is there: the Service's port by its name, its pods by their labels, the engines by the port that the operator gives them.
func TestScrapesFindTheirPorts(t *testing.T) {
	rendered := template(t, everything)
	monitor, service := rendered["ServiceMonitor/godwit-system/godwit"], rendered["Service/godwit-system/godwit-metrics"]
	port := func(object *unstructured.Unstructured, fields ...string) map[string]any {
		t.Helper()
		ports, _, _ := unstructured.NestedSlice(object.Object, fields...)
		if len(ports) != 1 {
			t.Fatalf("%s %s: one port, not %v", object.GetKind(), object.GetName(), ports)
		}
		return ports[0].(map[string]any)
	}
	endpoint, offered := port(monitor, "spec", "endpoints"), port(service, "spec", "ports")
	if endpoint["port"] != offered["name"] || endpoint["path"] != "/metrics" {
		t.Errorf("the ServiceMonitor asks for %v, the Service has %v", endpoint, offered)
	}
	selector, _, _ := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	for label, value := range selector {
		if service.GetLabels()[label] != value {
			t.Errorf("the ServiceMonitor selects %s=%s, the Service has %v", label, value, service.GetLabels())
		}
	}
	container := operatorContainer(t, everything)
	ports, _, _ := unstructured.NestedSlice(container, "ports")
	if named := ports[0].(map[string]any)["name"]; len(ports) != 1 || named != offered["targetPort"] {
		t.Errorf("the Service leads to %v, the pod has %v", offered["targetPort"], ports)
	}
	pods, _, _ := unstructured.NestedStringMap(rendered["Deployment/godwit-system/godwit"].Object, "spec", "template", "metadata", "labels")
	serves, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	for label, value := range serves {
		if pods[label] != value {
			t.Errorf("the Service selects %s=%s, the pods have %v", label, value, pods)
		}
	}

	engines := port(rendered["PodMonitor/godwit-system/godwit-engines"], "spec", "podMetricsEndpoints")
	engine := engineContainer(t)
	if engines["port"] != engine.Ports[0].Name || engines["path"] != "/metrics" {
		t.Errorf("the PodMonitor asks for %v, engines have %v", engines, engine.Ports)
	}
}
