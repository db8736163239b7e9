/**
 * Events per CPU second that the process of the agent sends to clients of its gRPC API, which read in a process of their
 * own: pipeline, encoding, grpc-js and HTTP/2 together. A client that is too slow would lose events: none may.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { makeApi } from "../agent/api/testing/api.ts";
import { makeHit } from "../agent/events/testing/pipeline.ts";
import { credSlot, makeBatch } from "../agent/records/testing/records.ts";

const READER = fileURLToPath(new URL("clients/reader.ts", import.meta.url));
const BATCH = makeBatch(...Array.from({ length: 1_000 }, (_, uid) => makeHit([credSlot({ uid })])));
const ROUND_MS = 3_000;

/** What clients ask for. */
const REQUESTS = {
  "every event": {},
  "filtered events": { allow_list: [{ event_set: ["PROCESS_KPROBE"], binary_regex: ["^/bin/"] }] },
  "fewer fields": { field_filters: [{ fields: "process.pod.podLabels,parent", action: "EXCLUDE" }] },
};

/** Prints a line for each number of clients and each request. */
export async function run(): Promise<void> {
  console.log("request           clients   events/CPU second of each client   events/CPU second in sum");
  for (const [name, request] of Object.entries(REQUESTS)) {
    for (const clients of [1, 10]) {
      const rate = await measure(clients, request);
      console.log(
        `${name.padEnd(18)}${clients}`.padEnd(28) +
          rate.toFixed(0).padStart(33) +
          (rate * clients).toFixed(0).padStart(27),
      );
    }
  }
}

async function measure(clients: number, request: object): Promise<number> {
  const api = await makeApi();
  const readers = fork(READER, [api.socket, String(clients), JSON.stringify(request)]);
  const ended = once(readers, "exit").then(() => {
    throw new Error("the clients have ended");
  });
  await Promise.race([once(readers, "message"), ended]);
  ended.catch(() => {}); // they are killed at the end
  const cpu = process.cpuUsage();
  const end = performance.now() + ROUND_MS;
  let events = 0;
  while (performance.now() < end) {
    api.pipeline.handleBatch(BATCH);
    events += 1_000;
    while (api.counts.sent + api.counts.lost < events * clients) await delay(0);
  }
  const { user, system } = process.cpuUsage(cpu);
  readers.kill();
  await api.close();
  if (api.counts.lost > 0) throw new Error(`${api.counts.lost} events were lost`);
  return events / ((user + system) / 1e6);
}
