/** `npm run bench [-- NAME…]`: runs the named benchmarks, or all of them. It prints figures and no verdict. */

const BENCHES: Record<string, { what: string; run: () => Promise<unknown> }> = {
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
    what: "attach times, memory, CPU and the largest rate of an agent, in an emulated guest",
    run: async () => (await import("./agent-load.ts")).run(),
  },
  rest: {
    what: "memory, CPU at rest, latency and CPU of events and edits of the image's agent, in instructions",
    run: async () => (await import("./rest.ts")).run(),
  },
  "process-cost": {
    what: "instructions that the process sensors add to a fork and to an exec, in the kernel",
    run: async () => (await import("./process-cost.ts")).run(),
  },
  "hook-cost": {
    what: "instructions that a hook adds to a system call, in the kernel",
    run: async () => (await import("./hook-cost.ts")).run(),
  },
};

process.exitCode = await main(process.argv.slice(2));

async function main(names: string[]): Promise<number> {
  const unknown = names.find((name) => !(name in BENCHES));
  if (unknown !== undefined) {
    const known = Object.entries(BENCHES).map(([name, { what }]) => `  ${name}  ${what}`);
    console.error(`npm run bench [-- NAME…]\n${known.join("\n")}`);
    return unknown === "--help" ? 0 : 2;
  }
  for (const [name, { what, run }] of Object.entries(BENCHES)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.log(`${name}: ${what}`);
    await run();
  }
  return 0;
}
