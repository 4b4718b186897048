package packaging

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// Someone in the network: a pod, or, without a namespace, an address outside of the cluster.
type party struct {
	namespace string
	labels    map[string]string
	address   string
	ports     map[string]int32
}

// allowed says what Kubernetes defines: a policy that selects a pod for a direction forbids in it what no policy allows; both ends have to agree.
func allowed(t *testing.T, policies []networkingv1.NetworkPolicy, from, to party, protocol corev1.Protocol, port int32) bool {
	t.Helper()
	leaves, arrives := true, true
	for _, egress := range []bool{true, false} {
		self, peer := to, from
		direction := networkingv1.PolicyTypeIngress
		if egress {
			self, peer = from, to
			direction = networkingv1.PolicyTypeEgress
		}
		selected, permitted := false, false
		for _, policy := range policies {
			if policy.Namespace != self.namespace || !matches(t, &policy.Spec.PodSelector, self.labels) || !slices.Contains(policy.Spec.PolicyTypes, direction) {
				continue
			}
			selected = true
			if egress {
				for _, rule := range policy.Spec.Egress {
					permitted = permitted || anyPort(rule.Ports, to, protocol, port) && anyPeer(t, rule.To, policy.Namespace, peer)
				}
			} else {
				for _, rule := range policy.Spec.Ingress {
					permitted = permitted || anyPort(rule.Ports, to, protocol, port) && anyPeer(t, rule.From, policy.Namespace, peer)
				}
			}
		}
		if egress {
			leaves = !selected || permitted
		} else {
			arrives = !selected || permitted
		}
	}
	return leaves && arrives
}

func anyPort(ports []networkingv1.NetworkPolicyPort, to party, protocol corev1.Protocol, port int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(rule networkingv1.NetworkPolicyPort) bool {
		number := rule.Port.IntVal
		if rule.Port.Type == intstr.String {
			number = to.ports[rule.Port.StrVal]
		}
		return *rule.Protocol == protocol && number == port
	})
}

func anyPeer(t *testing.T, peers []networkingv1.NetworkPolicyPeer, own string, who party) bool {
	t.Helper()
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil {
			return netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(netip.MustParseAddr(who.address))
		}
		if who.namespace == "" {
			return false
		}
		inside := who.namespace == own
		if peer.NamespaceSelector != nil {
			inside = matches(t, peer.NamespaceSelector, map[string]string{"kubernetes.io/metadata.name": who.namespace})
		}
		return inside && (peer.PodSelector == nil || matches(t, peer.PodSelector, who.labels))
	})
}

func matches(t *testing.T, selector *metav1.LabelSelector, having map[string]string) bool {
	t.Helper()
	found, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return found.Matches(labels.Set(having))
}

// The engine's pod as the operator makes it: the golden file of its build.
func enginePod(t *testing.T) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.Unmarshal(read(t, path("crates", "operator", "src", "task", "fixtures", "run.golden.yaml")), &pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func engineContainer(t *testing.T) corev1.Container {
	t.Helper()
	return enginePod(t).Spec.Containers[0]
}

// No network plugin of the tests enforces policies, so what they say is asked of them: what operator, engines and who scrapes need, and no more.
func TestNetworkPolicies(t *testing.T) {
	// What is closed without being asked for.
	if policies := template(t, "{}"); policies["NetworkPolicy/godwit-system/godwit"] == nil || policies["NetworkPolicy/godwit-system/godwit-engines"] == nil {
		t.Error("the chart's defaults have no network policies")
	}
	for name := range template(t, "networkPolicy: {enabled: false}") {
		if strings.HasPrefix(name, "NetworkPolicy/") {
			t.Errorf("%s in spite of networkPolicy.enabled: false", name)
		}
	}
	const prometheus = "metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]"
	rendered := template(t, "networkPolicy: {enabled: true}")
	podLabels, _, _ := unstructured.NestedStringMap(rendered["Deployment/godwit-system/godwit"].Object, "spec", "template", "metadata", "labels")
	ports, _, _ := unstructured.NestedSlice(operatorContainer(t, "{}"), "ports")
	port := ports[0].(map[string]any)
	number, _ := port["containerPort"].(int64)
	operator := party{"godwit-system", podLabels, "10.1.0.1", map[string]int32{port["name"].(string): int32(number)}}
	engine := func(namespace string) party { return party{namespace, enginePod(t).Labels, "10.1.0.2", nil} }
	stranger := func(namespace string) party {
		return party{namespace, map[string]string{"app.kubernetes.io/name": "web"}, "10.1.0.3", nil}
	}
	outside := party{address: "203.0.113.7"}
	status := engineContainer(t).Ports[0].ContainerPort
	metrics := operator.ports["metrics"]
	type question struct {
		from, to party
		protocol corev1.Protocol
		port     int32
		allowed  bool
	}
	// Wherever a policy stands.
	always := func(namespace string) []question {
		return []question{
			{operator, engine(namespace), corev1.ProtocolTCP, status, true},
			{operator, engine(namespace), corev1.ProtocolTCP, 3306, false},
			{operator, stranger(namespace), corev1.ProtocolTCP, status, false},
			{operator, outside, corev1.ProtocolTCP, 443, true},
			{operator, outside, corev1.ProtocolTCP, 6443, true},
			{operator, outside, corev1.ProtocolTCP, 3306, false},
			{operator, stranger("kube-system"), corev1.ProtocolUDP, 53, true},
			{operator, stranger("kube-system"), corev1.ProtocolTCP, 53, true},
			// Databases and names, wherever they are.
			{engine(namespace), outside, corev1.ProtocolTCP, 3306, true},
			{engine(namespace), outside, corev1.ProtocolTCP, 13306, true},
			{engine(namespace), stranger(namespace), corev1.ProtocolTCP, 3306, true},
			{engine(namespace), stranger("kube-system"), corev1.ProtocolUDP, 53, true},
			{engine(namespace), engine(namespace), corev1.ProtocolTCP, status, false},
			{stranger(namespace), engine(namespace), corev1.ProtocolTCP, status, false},
			{stranger("godwit-system"), engine(namespace), corev1.ProtocolTCP, status, false},
			{outside, engine(namespace), corev1.ProtocolTCP, status, false},
			// Another release's operator, and other pods' ports, are not ours to close.
			{stranger(namespace), stranger(namespace), corev1.ProtocolTCP, 80, true},
		}
	}
	cases := map[string]struct {
		values    string
		more      []networkingv1.NetworkPolicy
		questions []question
	}{
		"in its own namespace": {"networkPolicy: {enabled: true}", nil, append(always("godwit-system"),
			question{stranger("monitoring"), operator, corev1.ProtocolTCP, metrics, true},
			question{stranger("monitoring"), operator, corev1.ProtocolTCP, 22, false},
			question{stranger("monitoring"), engine("godwit-system"), corev1.ProtocolTCP, status, false},
		)},
		"in some namespaces, scraped": {"{watchNamespaces: [shop, data], networkPolicy: {enabled: true, " + prometheus + "}}", nil, append(append(always("shop"), always("data")...),
			question{stranger("monitoring"), operator, corev1.ProtocolTCP, metrics, true},
			question{stranger("shop"), operator, corev1.ProtocolTCP, metrics, false},
			question{stranger("monitoring"), engine("shop"), corev1.ProtocolTCP, status, true},
			// It is not the operator's business there.
			question{operator, engine("other"), corev1.ProtocolTCP, status, false},
		)},
		"with the notes' policy": {"networkPolicy: {enabled: true}", notedPolicy(t, "networkPolicy: {enabled: true}"), always("data")},
		"with the notes' policy, scraped": {"networkPolicy: {enabled: true, " + prometheus + "}", notedPolicy(t, "networkPolicy: {enabled: true, "+prometheus+"}"), append(always("data"),
			question{stranger("monitoring"), engine("data"), corev1.ProtocolTCP, status, true},
		)},
		"with the documentation's policy": {"networkPolicy: {enabled: true}", documentedPolicy(t), always("data")},
		"where the API server is known": {"networkPolicy: {enabled: true, apiServer: {cidr: 203.0.113.0/24, ports: [8443]}}", nil, []question{
			{operator, outside, corev1.ProtocolTCP, 8443, true},
			{operator, outside, corev1.ProtocolTCP, 443, false},
			{operator, party{address: "198.51.100.1"}, corev1.ProtocolTCP, 8443, false},
		}},
	}
	for name, one := range cases {
		policies := slices.Clone(one.more)
		for _, object := range template(t, one.values) {
			if object.GetKind() != "NetworkPolicy" {
				continue
			}
			var policy networkingv1.NetworkPolicy
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &policy, true); err != nil {
				t.Fatal(err)
			}
			policies = append(policies, policy)
		}
		for _, asked := range one.questions {
			if found := allowed(t, policies, asked.from, asked.to, asked.protocol, asked.port); found != asked.allowed {
				t.Errorf("%s: %+v to %+v, %s %d: %v", name, asked.from, asked.to, asked.protocol, asked.port, found)
			}
		}
	}
}

// The policy that the notes give to paste, applied to the namespace data.
func notedPolicy(t *testing.T, values string) []networkingv1.NetworkPolicy {
	t.Helper()
	_, rest, found := strings.Cut(notesOf(t, values), "<<'EOF'\n")
	text, _, ended := strings.Cut(rest, "     EOF")
	var policy networkingv1.NetworkPolicy
	if err := yaml.UnmarshalStrict([]byte(text), &policy); err != nil || !found || !ended || policy.Kind != "NetworkPolicy" {
		t.Fatalf("the notes have no NetworkPolicy: %v\n%s", err, text)
	}
	policy.Namespace = "data"
	return []networkingv1.NetworkPolicy{policy}
}

// The policy that docs/kubernetes.md gives for further namespaces with tasks.
func documentedPolicy(t *testing.T) []networkingv1.NetworkPolicy {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(read(t, path("docs", "kubernetes.md")), -1) {
		var policy networkingv1.NetworkPolicy
		if err := yaml.UnmarshalStrict(block[1], &policy); err == nil && policy.Kind == "NetworkPolicy" {
			return []networkingv1.NetworkPolicy{policy}
		}
	}
	t.Fatal("docs/kubernetes.md has no NetworkPolicy")
	return nil
}
