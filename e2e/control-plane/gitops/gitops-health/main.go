// Judges objects as GitOps tools do. Reads one JSON object per line from standard input and writes one JSON line for
// each: what Flux's kstatus computes, and what a health script of Argo CD returns in Argo CD's Lua interpreter.
//
//	gitops-health SCRIPT.lua <objects.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: gitops-health SCRIPT.lua <objects.jsonl")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if err := judge(lines.Bytes(), string(script)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func judge(line []byte, script string) error {
	object := map[string]any{}
	if err := utiljson.Unmarshal(line, &object); err != nil { // whole numbers as int64, as Kubernetes reads them
		return err
	}
	flux, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		return fmt.Errorf("kstatus: %w", err)
	}
	argo, err := runScript(script, object)
	if err != nil {
		return fmt.Errorf("lua: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]verdict{
		"flux": {Status: flux.Status.String(), Message: flux.Message},
		"argo": argo,
	})
}

// Opens only the libraries that Argo CD opens for health scripts.
func runScript(script string, object map[string]any) (verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName:   lua.OpenPackage,
		lua.BaseLibName:   lua.OpenBase,
		lua.TabLibName:    lua.OpenTable,
		lua.StringLibName: lua.OpenString,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return verdict{}, err
		}
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		return verdict{}, err
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return verdict{}, fmt.Errorf("the script returned %s, not a table", state.Get(-1).Type())
	}
	return verdict{
		Status:  result.RawGetString("status").String(),
		Message: result.RawGetString("message").String(),
	}, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}
