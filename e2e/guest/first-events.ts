/** In a guest: starts an agent with the policies of quickstart, changes credentials, and prints the detections. */
import { spawnSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type CompactEvent, compactLine } from "../../cli/events/compact.ts";
import { CHANGES, OWN_POLICIES } from "../stories/changes.ts";

import { type AgentProcess, type ExportedEvent, startAgent } from "./agent-process.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../crds/examples/valid");
const HOOKS = ["process_kprobe", "process_lsm", "process_tracepoint"];

const directory = await mkdtemp(join(tmpdir(), "trigon-first-events-"));
const policies = OWN_POLICIES.flatMap((file) => ["--tracing-policy", join(EXAMPLES, file)]);
const agent = await startAgent(join(directory, "events.jsonl"), policies);
for (const command of Object.values(CHANGES)) {
  console.log(`$ ${command}`);
  // The policies watch containers: a process of its own pid namespace is one to them.
  spawnSync("unshare", ["--pid", "--fork", "sh", "-c", command], { stdio: "ignore" });
}
for (const event of await detections(agent)) console.log(compactLine(event as CompactEvent));
await agent.stop();

/** All detections, once those of the last command are there. */
async function detections(running: AgentProcess): Promise<ExportedEvent[]> {
  for (;;) {
    const found = (await running.events()).filter((event) => HOOKS.some((kind) => kind in event));
    if (found.some((event) => JSON.stringify(event).includes("unshare -U"))) return found;
    await delay(100);
  }
}
