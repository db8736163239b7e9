/** The real operator and compiler on an API server in memory, by a clock that tests move. */
import type { Registry } from "prom-client";
import { vi } from "vitest";
import { createRegistry } from "../../lib/metrics.ts";
import { makeLogger } from "../../lib/testing/api-server.ts";
import { MemoryApi, type Stored } from "../../lib/testing/memory-api.ts";
import { OperatorClient } from "../cluster/client.ts";
import { compileAndEncode } from "../compiler/compiled.ts";
import { startOperator } from "../operator.ts";
import { memoryApis } from "./memory-connection.ts";

/** Where the specs are. */
export const NAMESPACE = "trigon-system";

/** A cluster without nodes. */
export interface World {
  api: MemoryApi;
  /** Whether this replica leads, and so may write. */
  leads: boolean;
  /** Of its metrics. */
  registry: Registry;
  /** Messages that it has logged as warnings. */
  warnings: string[];
  /** Stops the operator and gives the real clock back. */
  end(): Promise<void>;
}

/** Starts it on a fake clock. */
export function startWorld(): World {
  vi.useFakeTimers();
  const api = new MemoryApi();
  const logger = makeLogger();
  const warnings: string[] = [];
  vi.spyOn(logger, "warn").mockImplementation((message: unknown) => {
    warnings.push(String(message));
    return logger;
  });
  const registry = createRegistry({ component: "operator", version: "test", defaultMetrics: false });
  const operator = startOperator({
    client: new OperatorClient(memoryApis(api, () => (world.leads ? 60_000 : 0))),
    compile: async (policy) => compileAndEncode(policy),
    namespace: NAMESPACE,
    instance: "test",
    logger,
    registry,
  });
  const end = async () => {
    api.react = () => {};
    const stopped = operator.stop();
    await pass(1_000);
    await stopped;
    vi.useRealTimers();
  };
  const world: World = { api, leads: true, registry, warnings, end };
  return world;
}

/** Moves the clock, in steps: streams deliver between timers. */
export async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) await vi.advanceTimersByTimeAsync(1_000);
}

/** The policy `p` on a system call, as a user applies it. */
export function makePolicyObject(call: string): Stored {
  return {
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata: { name: "p" },
    spec: { kprobes: [{ call, syscall: true, args: [{ index: 0, type: "int" }] }] },
  };
}
