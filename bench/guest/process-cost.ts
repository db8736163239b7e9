/**
 * Runs in a guest whose clock counts instructions: measures what the process sensors add to a process. Prints one JSON
 * object per line: {layer, case, instructions}, once per case and round.
 */
import { loadBinding } from "../../agent/bpf/binding.ts";
import { makeHook, makeSelector } from "../../agent/hooks/testing/hooks.ts";
import { startEngine } from "./engine.ts";
import { countInstructions } from "./instructions.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
/** Calls per round: their records fill less of the ring than the level from which each record wakes the reader. */
const CALLS = 12;

const LAYERS: Record<string, string[]> = { "fork and exit": [], "fork, exec and exit": ["exec"] };
const FOLLOWING = makeHook({
  call: "commit_creds",
  selectors: [
    makeSelector({
      match: "binary",
      negate: false,
      compare: "equal",
      values: ["/nowhere"],
      followChildren: true,
    }),
  ],
});

const bpf = loadBinding();

for (let round = 0; round < ROUNDS; round++) {
  await report("no probe");
  const detach = attachSmallest();
  await report("smallest programs");
  detach();
  const engine = startEngine();
  await report("sensors");
  const hook = engine.attach(FOLLOWING);
  if (hook.status.state !== "Attached") throw new Error(hook.status.message);
  await report("sensors, and a hook follows a binary");
  hook.detach();
  engine.close();
  const watching = startEngine(undefined, { credentialDrift: true });
  await report("sensors with credential drift");
  watching.close();
}

/** The programs of bench/programs/smallest_process.bpf.c; nothing keeps their records. */
function attachSmallest(): () => void {
  const object = bpf.openObject("build/bench/smallest_process.bpf.o");
  object.load();
  const reader = bpf.readRing(object.map("events"), { onBatch: () => {} });
  const links = ["smallest_fork", "smallest_exec", "smallest_exit"].map((name) =>
    object.program(name).attachTracing(),
  );
  return () => {
    for (const link of links) link.close();
    reader.close();
    object.close();
  };
}

async function report(name: string): Promise<void> {
  for (const [layer, args] of Object.entries(LAYERS)) {
    const instructions = await countInstructions("call-fork", CALLS, ...args);
    console.log(JSON.stringify({ layer, case: name, instructions }));
  }
}
