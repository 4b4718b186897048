package packaging

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

// The libraries that Argo CD opens for scripts of its configuration: base, table, string, and of os only the time.
func runLua(t *testing.T, script string, object map[string]any) lua.LValue {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	t.Cleanup(state.Close)
	// The package library first: the others register themselves with it.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
		{lua.OsLibName, openTimes},
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}, lua.LString(library.name)); err != nil {
			t.Fatal(err)
		}
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatalf("%v in\n%s", err, script)
	}
	return state.Get(-1)
}

func openTimes(state *lua.LState) int {
	table := state.RegisterModule(lua.OsLibName, map[string]lua.LGFunction{
		"time": func(state *lua.LState) int {
			state.Push(lua.LNumber(time.Now().Unix()))
			return 1
		},
		"date": func(state *lua.LState) int {
			if format := state.OptString(1, ""); format != "!%Y-%m-%dT%XZ" {
				state.RaiseError("this test knows no date format %q", format)
			}
			state.Push(lua.LString(time.Now().UTC().Format("2006-01-02T15:04:05Z")))
			return 1
		},
	})
	state.Push(table)
	return 1
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, entry := range value {
			table.RawSetString(key, toLua(state, entry))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, entry := range value {
			table.Append(toLua(state, entry))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	default:
		return lua.LNil
	}
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case *lua.LTable:
		if value.Len() > 0 {
			var list []any
			value.ForEach(func(_, entry lua.LValue) { list = append(list, fromLua(entry)) })
			return list
		}
		fields := map[string]any{}
		value.ForEach(func(key, entry lua.LValue) { fields[key.String()] = fromLua(entry) })
		return fields
	case lua.LString:
		return string(value)
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	default:
		return nil
	}
}

// The scripts as they stand in argocd-cm.yaml, which is what Argo CD gets.
func argoScript(t *testing.T, key string) string {
	t.Helper()
	var configuration struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal(read(t, path("config", "gitops", "argo-cd", "argocd-cm.yaml")), &configuration); err != nil {
		t.Fatal(err)
	}
	script, found := configuration.Data["resource.customizations."+key]
	if !found {
		t.Fatalf("argocd-cm.yaml has no %s, only %v", key, slices.Collect(maps.Keys(configuration.Data)))
	}
	return script
}

func argoFolder(kind string) string {
	return path("config", "gitops", "argo-cd", "godwit.dev", kind)
}

func TestArgoHealth(t *testing.T) {
	tested := map[string]bool{}
	for _, kind := range []string{"MigrationTask", "DedicatedCluster"} {
		var cases struct {
			Tests []struct {
				HealthStatus struct{ Status, Message string } `json:"healthStatus"`
				InputPath    string                           `json:"inputPath"`
			} `json:"tests"`
		}
		readYAML(t, filepath.Join(argoFolder(kind), "health_test.yaml"), &cases)
		script := argoScript(t, "health.godwit.dev_"+kind)
		for _, one := range cases.Tests {
			input := object(t, filepath.Join(argoFolder(kind), one.InputPath))
			if input.GetKind() != kind {
				t.Fatalf("%s is a %s", one.InputPath, input.GetKind())
			}
			found := fromLua(runLua(t, script, input.Object))
			expected := map[string]any{"status": one.HealthStatus.Status, "message": one.HealthStatus.Message}
			if !reflect.DeepEqual(found, expected) {
				t.Errorf("%s: %v, expected %v", one.InputPath, found, expected)
			}
			tested[strings.TrimSuffix(filepath.Base(one.InputPath), ".yaml")] = true
		}
	}
	for _, name := range examples(t) {
		if !tested[name] {
			t.Errorf("%s is in no health_test.yaml", name)
		}
	}
}

type argoActions struct {
	Discovery   string `json:"discovery.lua"`
	Definitions []struct {
		Name   string `json:"name"`
		Action string `json:"action.lua"`
	} `json:"definitions"`
}

func readActions(t *testing.T) argoActions {
	t.Helper()
	var actions argoActions
	if err := yaml.UnmarshalStrict([]byte(argoScript(t, "actions.godwit.dev_MigrationTask")), &actions); err != nil {
		t.Fatal(err)
	}
	return actions
}

type actionCases struct {
	Discovery []struct {
		InputPath string `json:"inputPath"`
		Result    []struct {
			Name     string `json:"name"`
			Disabled bool   `json:"disabled"`
		} `json:"result"`
	} `json:"discoveryTests"`
	Actions []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

func TestArgoActionsOffered(t *testing.T) {
	var cases actionCases
	folder := filepath.Join(argoFolder("MigrationTask"), "actions")
	readYAML(t, filepath.Join(folder, "action_test.yaml"), &cases)
	actions := readActions(t)
	for _, one := range cases.Discovery {
		found := fromLua(runLua(t, actions.Discovery, object(t, filepath.Join(folder, one.InputPath)).Object))
		expected := map[string]any{}
		for _, result := range one.Result {
			expected[result.Name] = map[string]any{"disabled": result.Disabled}
		}
		if !reflect.DeepEqual(found, expected) {
			t.Errorf("%s: %v, expected %v", one.InputPath, found, expected)
		}
		if len(expected) != len(actions.Definitions) {
			t.Errorf("%s: %d actions are offered, %d defined", one.InputPath, len(expected), len(actions.Definitions))
		}
	}
}

func TestArgoActions(t *testing.T) {
	var cases actionCases
	folder := filepath.Join(argoFolder("MigrationTask"), "actions")
	readYAML(t, filepath.Join(folder, "action_test.yaml"), &cases)
	times := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	tested := map[string]bool{}
	for _, one := range cases.Actions {
		for _, definition := range readActions(t).Definitions {
			if definition.Name != one.Action {
				continue
			}
			tested[one.Action] = true
			found := fromLua(runLua(t, definition.Action, object(t, filepath.Join(folder, one.InputPath)).Object)).(map[string]any)
			// An annotation that says when becomes NOW, if it is a time.
			annotations, _ := found["metadata"].(map[string]any)["annotations"].(map[string]any)
			for name, value := range annotations {
				if times.MatchString(fmt.Sprint(value)) {
					annotations[name] = "NOW"
				}
			}
			// Only what an action may change is compared; the rest has gone through Lua and back unread.
			changed := map[string]any{"desiredState": found["spec"].(map[string]any)["desiredState"], "annotations": annotations}
			output := filepath.Join(folder, one.ExpectedOutputPath)
			if os.Getenv("GODWIT_BLESS") != "" {
				blessed := object(t, filepath.Join(folder, one.InputPath))
				blessed.Object["spec"].(map[string]any)["desiredState"] = changed["desiredState"]
				if annotations != nil {
					blessed.Object["metadata"].(map[string]any)["annotations"] = annotations
				}
				text, err := yaml.Marshal(blessed.Object)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(output, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wanted := object(t, output)
			wantedAnnotations, _ := wanted.Object["metadata"].(map[string]any)["annotations"].(map[string]any)
			expected := map[string]any{"desiredState": wanted.Object["spec"].(map[string]any)["desiredState"], "annotations": wantedAnnotations}
			if !reflect.DeepEqual(changed, expected) {
				t.Errorf("%s: %v, expected %v", one.Action, changed, expected)
			}
			before := object(t, filepath.Join(folder, one.InputPath)).Object
			if !reflect.DeepEqual(normal(before["status"]), found["status"]) {
				t.Errorf("%s touches the status", one.Action)
			}
		}
	}
	for _, definition := range readActions(t).Definitions {
		if !tested[definition.Name] {
			t.Errorf("action %s has no test", definition.Name)
		}
	}
}

// normal makes a value comparable with one that has gone through Lua: whole numbers are floats, empty lists are empty tables.
func normal(value any) any {
	switch value := value.(type) {
	case map[string]any:
		fields := map[string]any{}
		for key, entry := range value {
			fields[key] = normal(entry)
		}
		return fields
	case []any:
		if len(value) == 0 {
			return map[string]any{}
		}
		var list []any
		for _, entry := range value {
			list = append(list, normal(entry))
		}
		return list
	case int64:
		return float64(value)
	default:
		return value
	}
}
