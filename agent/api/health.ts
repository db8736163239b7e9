/** The service grpc.health.v1.Health, from the checks of /healthz and /readyz. */
import type { Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Check, HealthChecks } from "../../lib/health.ts";

/** What the service answers from. */
export interface HealthOptions {
  checks: HealthChecks;
  /** How often the checks are read: many clients that ask often cost no more than one. */
  intervalMs: number;
}

type Checks = Readonly<Record<string, Check>>;

/** What is wrong, each with the name of its check. */
export function problems(checks: Checks): string[] {
  return Object.entries(checks).flatMap(([name, check]) => {
    const problem = check();
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}

/** "liveness" is what /healthz is, so that a probe restarts an agent only where that helps; the others are all checks. */
function checksByService({ live, ready }: HealthChecks): Record<string, Checks> {
  const all = { ...live, ...ready };
  return { "": all, liveness: live, "tetragon.FineGuidanceSensors": all };
}

/** Adds the service; clients that watch it hear of each change once. Returns what ends it. */
export function addHealth(server: Server, { checks, intervalMs }: HealthOptions): () => void {
  const read = () =>
    Object.entries(checksByService(checks)).map(
      ([service, checks]) => [service, problems(checks).length === 0 ? "SERVING" : "NOT_SERVING"] as const,
    );
  const known = new Map(read());
  const health = new HealthImplementation(Object.fromEntries(known));
  health.addToServer(server);
  const timer = setInterval(() => {
    for (const [service, status] of read()) {
      if (known.get(service) === status) continue;
      known.set(service, status);
      health.setStatus(service, status);
    }
  }, intervalMs).unref();
  return () => clearInterval(timer);
}
