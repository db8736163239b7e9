/**
 * `npm run bench [-- NAME…]`: runs the named benchmarks, or all of them. It prints figures and no verdict.
 * `npm run bench -- instructions --write` commits to what it counted: it writes bench/instructions.json.
 * `npm run bench -- cluster --rounds N --containers N` sets how often a time is measured, and how many short containers run.
 * `npm run bench -- --against REVISION [NAME…]` compares this checkout with another revision of it.
 */
import { parseArgs } from "node:util";

/** Flags as they were given. */
interface Flags {
  write?: boolean | undefined;
  rounds?: string | undefined;
  containers?: string | undefined;
}

const BENCHES: Record<string, { what: string; run: (flags: Flags) => Promise<unknown> }> = {
  encode: {
    what: "CPU per event of the agent's data path, from records to JSON lines and to protobuf",
    run: () => import("./encode.ts"),
  },
  clients: {
    what: "events per CPU second of the agent's process to 1 and to 10 clients of the gRPC API",
    run: async () => (await import("./clients.ts")).run(),
  },
  scrape: {
    what: "what a scrape of /metrics costs the event loop, with 400 hooks and 1,000 series of pods",
    run: async () => (await import("./scrape.ts")).run(),
  },
  "agent-load": {
    what: "CPU of events at several rates and the largest rate of the image's agent, in instructions; attach times, memory",
    run: async () => (await import("./agent-load.ts")).run(),
  },
  rest: {
    what: "memory, CPU at rest, latency and CPU of events and edits of the image's agent, in instructions",
    run: async () => (await import("./rest.ts")).run(),
  },
  "event-loop": {
    what: "for how long the image's agent keeps its event loop from other work, in instructions",
    run: async () => (await import("./event-loop.ts")).run(),
  },
  "bpf-memory": {
    what: "memory of the engine's maps and programs in the kernel, beside 300 processes",
    run: async () => (await import("./bpf-memory.ts")).run(),
  },
  scale: {
    what: "cost of statuses to API server and operator with 50 and 500 nodes, or as TRIGON_SCALE says",
    run: async () => (await import("./scale.ts")).run(),
  },
  "process-cost": {
    what: "instructions that the process sensors add to a fork and to an exec, in the kernel",
    run: async () => (await import("./process-cost.ts")).run(),
  },
  instructions: {
    what: "instructions of hooks, against the committed table; with --write it becomes the table",
    run: async ({ write = false }) => (await import("./instructions.ts")).run(write),
  },
  "hook-cost": {
    what: "instructions that a hook adds to a system call, in the kernel",
    run: async () => (await import("./hook-cost.ts")).run(),
  },
  cluster: {
    what: "times from a change in the cluster to its effect on every node, and short containers, with real kubelets",
    run: async (flags) => (await import("./cluster.ts")).run(flags),
  },
};

const USAGE = "npm run bench [-- NAME…]\nnpm run bench -- --against REVISION [NAME…]";

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const { values, positionals: names } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      against: { type: "string" },
      write: { type: "boolean" },
      rounds: { type: "string" },
      containers: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const { COMPARED, compareWith } = await import("./against.ts");
  const known = values.against === undefined ? Object.keys(BENCHES) : COMPARED;
  if (values.help || names.some((name) => !known.includes(name))) {
    const lines = Object.entries(BENCHES).map(([name, { what }]) => `  ${name}  ${what}`);
    console.error(`${USAGE}\n${lines.join("\n")}\nwith --against: ${COMPARED.join(", ")}`);
    return values.help ? 0 : 2;
  }
  if (values.against === undefined) await runAll(names, values);
  else await compareWith(values.against, names);
  return 0;
}

async function runAll(names: readonly string[], flags: Flags): Promise<void> {
  for (const [name, { what, run }] of Object.entries(BENCHES)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.log(`${name}: ${what}`);
    await run(flags);
  }
}
