import { describe, expect, test } from "vitest";
import { selectorOf } from "../testing/filters.ts";
import { errorsOf, hooksOf, type Loose, makePolicy, makeProbe } from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0]";

test("more filters than a hook can have are refused, per selector and in all", () => {
  const matchPIDs = Array(33).fill({ operator: "In", values: [1] });
  const selectors = [{ matchPIDs }, ...Array(4).fill({ matchPIDs: matchPIDs.slice(1) })];
  expect(errorsOf(makePolicy({ kprobes: [makeProbe({ selectors })] }))).toEqual([
    `${AT}: has 33 filters: at most 32 are allowed`,
    "spec.kprobes[0].selectors: have 161 filters: at most 96 are allowed",
  ]);
});

describe("order and macros", () => {
  const pid = { operator: "In", values: [1] };
  const namespace = { namespace: "Pid", operator: "In", values: ["1"] };
  const binary = { operator: "In", values: ["/bin/su"] };
  const arg = { index: 0, operator: "Equal", values: ["1"] };

  test("filters stand in the order of evaluation, whatever the order of the policy", () => {
    const capability = { operator: "In", values: ["CAP_BPF"] };
    const selector = {
      matchData: [arg],
      matchArgs: [arg],
      matchCredChanges: [{ fields: ["any"], change: "Raised" }],
      matchCurrentCred: [{ field: "uid", operator: "Equal", values: ["0"] }],
      matchParentBinaries: [binary],
      matchBinaries: [binary],
      matchCapabilityChanges: [capability],
      matchNamespaceChanges: [{ operator: "In", values: ["User"] }],
      matchCapabilities: [capability],
      matchNamespaces: [namespace, namespace],
      matchPIDs: [pid],
    };
    const { filters } = selectorOf(selector, {
      call: "security_task_fix_setuid",
      syscall: false,
      args: [{ index: 0, type: "uint32", resolve: "uid.val" }],
      data: [{ index: 0, type: "int", source: "current_task", resolve: "pid" }],
    });
    expect(filters.map(({ match }) => match)).toEqual([
      "pid",
      "namespace",
      "namespace",
      "capability",
      "namespaceChange",
      "capabilityChange",
      "binary",
      "binary",
      "currentCred",
      "credChange",
      "arg",
      "arg",
    ]);
  });

  const withMacros = (selectorsMacros: Loose, selector: Loose) =>
    makePolicy({ selectorsMacros, kprobes: [makeProbe({ selectors: [selector] })] });

  test("macros are merged into the selector", () => {
    const policy = withMacros(
      { "a.b": { matchPIDs: [pid], label: "from macro" }, c: { matchActions: [{ action: "NoPost" }] } },
      { macros: ["c", "a.b"], matchArgs: [arg] },
    );
    expect(hooksOf(policy)[0]?.selectors).toEqual([
      {
        label: "from macro",
        filters: [expect.objectContaining({ match: "pid" }), expect.objectContaining({ match: "arg" })],
        actions: [{ action: "NoPost" }],
      },
    ]);
  });

  test.each([
    [
      "a macro that does not exist",
      { a: { matchPIDs: [pid] } },
      { macros: ["aa", "zzzz"] },
      [
        `${AT}.macros[0]: macro "aa" does not exist: did you mean "a"?`,
        `${AT}.macros[1]: macro "zzzz" does not exist: spec.selectorsMacros has a`,
      ],
    ],
    [
      "a name that every object has",
      { a: {} },
      { macros: ["toString"] },
      [`${AT}.macros[0]: macro "toString" does not exist: spec.selectorsMacros has a`],
    ],
    [
      "a macro that uses macros",
      { a: { macros: ["b"] }, b: {} },
      {},
      ["spec.selectorsMacros.a.macros: is not allowed: a macro cannot use other macros"],
    ],
    [
      "a part that selector and macro define",
      { "a.b": { matchPIDs: [pid] } },
      { matchPIDs: [pid], macros: ["a.b"] },
      [`${AT}.macros[0]: defines matchPIDs, which ${AT}.matchPIDs defines too: only one of them may`],
    ],
    [
      "a part that two macros define",
      { a: { label: "x" }, b: { label: "y" } },
      { macros: ["a", "b"] },
      [
        `${AT}.macros[1]: defines label, which spec.selectorsMacros.a.label defines too: only one of them may`,
      ],
    ],
    [
      "an error in a macro, at the macro",
      { "a.b": { matchPIDs: [{ ...pid, values: [-1] }] } },
      { macros: ["a.b"] },
      [`spec.selectorsMacros["a.b"].matchPIDs[0].values[0]: is -1: a process id is 0 or more`],
    ],
  ])("refuses %s", (_name, macros, selector, errors) => {
    expect(errorsOf(withMacros(macros, selector))).toEqual(errors);
  });
});
