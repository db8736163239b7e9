/**
 * Runs in a guest whose clock counts instructions: measures what a hook adds to setuid(0). Prints one JSON object per line:
 * {layer, case, instructions}, once per case and round.
 */
import { type KernelBtf, loadBinding } from "../../agent/bpf/binding.ts";
import type { HookEngine } from "../../agent/hooks/engine.ts";
import { makeArgs, makeHook, makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { startEngine } from "./engine.ts";
import { countInstructions } from "./instructions.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
/** Calls per round: their records fill less of the ring than the level from which each record wakes the reader. */
const CALLS = 60;
/** Until then the first record has woken the reader. */
const SETTLE_US = "2000";

interface Layer {
  name: string;
  /** Function of the hook, and the program of bench/programs/smallest.bpf.c for it. */
  target: string;
  smallest: string;
  def: HookDef;
}

const LAYERS: Layer[] = [
  {
    name: "commit_creds",
    target: "commit_creds",
    smallest: "smallest_commit_creds",
    def: makeHook({ call: "commit_creds", args: makeArgs("cred") }),
  },
  {
    name: "sys_setuid",
    target: "__x64_sys_setuid",
    smallest: "smallest_setuid",
    def: makeHook({ call: "sys_setuid", syscall: true, args: makeArgs("int") }),
  },
];

/** Matches processes outside of the host's pid namespace: here, none. */
const ELSEWHERE = makeSelector({ match: "namespace", negate: true, namespace: "Pid", values: ["host_ns"] });

const bpf = loadBinding();
const btf = bpf.loadKernelBtf();
const own = bpf.openObject("build/bench/smallest.bpf.o");
own.load();
const ownReader = bpf.readRing(own.map("events"), { onBatch: () => {} });
const engine = startEngine(bpf);
const breakpoints = startEngine(bpf);
Object.assign(breakpoints.features, { fentry: false });

for (let round = 0; round < ROUNDS; round++) {
  for (const layer of LAYERS) {
    await report(layer, "no probe", () => () => {});
    await report(layer, "empty fentry", () => attachOwn("nothing", layer.target));
    await report(layer, "smallest program", () => attachOwn(layer.smallest, layer.target));
    const filtered = { ...layer.def, selectors: [ELSEWHERE] };
    await report(layer, "filtered out", () => attachOurs(engine, filtered));
    await report(layer, "emitted", () => attachOurs(engine, layer.def));
    await report(layer, "filtered out, kprobe", () => attachOurs(breakpoints, filtered));
    await report(layer, "emitted, kprobe", () => attachOurs(breakpoints, layer.def));
  }
}
ownReader.close();
engine.close();
breakpoints.close();

async function report(layer: Layer, name: string, attach: () => () => void): Promise<void> {
  const detach = attach();
  const instructions = await countInstructions("call-setuid", CALLS, SETTLE_US);
  detach();
  console.log(JSON.stringify({ layer: layer.name, case: name, instructions }));
}

function attachOwn(name: string, target: string): () => void {
  const program = own.program(name).clone({
    name,
    type: "tracing",
    expectedAttachType: "trace_fentry",
    attachBtfId: functionId(btf, target),
  });
  const link = program.attachTracing();
  return () => {
    link.close();
    program.close();
  };
}

function attachOurs(engine: HookEngine, def: HookDef): () => void {
  const hook = engine.attach(def);
  if (hook.status.state !== "Attached") throw new Error(hook.status.message);
  return () => hook.detach();
}

function functionId(kernel: KernelBtf, name: string): number {
  const proto = kernel.funcProto(name);
  if (!proto) throw new Error(`kernel BTF does not describe ${name}`);
  return proto.btfId;
}
