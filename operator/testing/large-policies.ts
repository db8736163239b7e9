/** Policies of the largest size that the API server stores with ease. */
import { SET_ID_CALLS } from "../../policy/testing/set-id-calls.ts";

/** About as much text as one policy may have next to its managed fields. */
const LARGE_BYTES = 850_000;

/** A policy of this size that compiles: long value lists, no two alike. */
export function makeLargePolicy(name: string, bytes = LARGE_BYTES): { metadata: object; spec: object } {
  const hooks = 64;
  const perList = 64;
  const lists = 3;
  const width = Math.floor(bytes / (hooks * perList * lists)) - 3;
  const path = (...at: number[]) => `/opt/${name}/${at.join("/")}/`.padEnd(width, "x");
  const kprobes = Array.from({ length: hooks }, (_, hook) => ({
    call: `sys_${SET_ID_CALLS[hook % SET_ID_CALLS.length]}`,
    syscall: true,
    return: false,
    args: [{ index: 0, type: "int" }],
    selectors: Array.from({ length: lists }, (_, list) => ({
      matchBinaries: [
        { operator: "In", values: Array.from({ length: perList }, (_, value) => path(hook, list, value)) },
      ],
    })),
  }));
  return { metadata: { name, uid: name, generation: 1 }, spec: { kprobes } };
}

/** A policy of this size with a mistake in every entry. */
export function makeWrongPolicy(name: string, bytes = LARGE_BYTES): { metadata: object; spec: object } {
  const value = (n: number) => `CAP_SYS_ADMN${n}`;
  const values = Array.from({ length: Math.floor(bytes / 20) }, (_, n) => value(n));
  const selectors = [{ matchCapabilities: [{ type: "Effective", operator: "In", values }] }];
  return {
    metadata: { name, uid: name, generation: 1 },
    spec: { kprobes: [{ call: "sys_setuid", syscall: true, selectors }] },
  };
}
