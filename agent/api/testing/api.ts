/** An API server on a UNIX socket with a pipeline and policies behind it, and a client, for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ChannelOptions,
  type Client,
  type ClientReadableStream,
  credentials,
  makeClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import type { HealthChecks } from "../../../lib/health.ts";
import { createLogger } from "../../../lib/logger.ts";
import { makeHookDef, setupShell } from "../../events/testing/pipeline.ts";
import { PolicyLoop } from "../../policies/loop.ts";
import { PolicyOverrides, withOverrides } from "../../policies/overrides.ts";
import type { Reconciler } from "../../policies/reconcile.ts";
import { ApiSource } from "../../policies/sources/api.ts";
import type { DesiredPolicy, SpecSource } from "../../policies/sources/source.ts";
import type { ServerAddress } from "../address.ts";
import type { CallLimits } from "../call-limits.ts";
import type { EventLog } from "../event-log.ts";
import type { StreamLimits } from "../event-stream.ts";
import type { RunningPolicies } from "../policies.ts";
import { defineService } from "../service.ts";
import { startApi } from "../start.ts";
import type { TlsFiles } from "../tls.ts";

/** A call of a client; `fail` of the policy's name makes its attaching fail. */
export type Fails = (policy: DesiredPolicy) => string | undefined;

/** Stands in for the kernel: every policy attaches, unless it is told to fail. */
class FakeKernel {
  readonly outcomes = new Map<string, ReturnType<RunningPolicies["outcomes"]>[number]>();
  readonly modes = new Map<string, string>();
  fails: Fails = () => undefined;

  keys(): string[] {
    return [...this.outcomes.keys()];
  }

  /** Policies attach at once here: none is shown as waiting. */
  announce(): void {}

  reconcile(key: string, desired: DesiredPolicy | undefined): boolean {
    this.outcomes.delete(key);
    if (desired) this.outcomes.set(key, this.#outcome(desired));
    if (desired && "spec" in desired) this.modes.set(key, desired.spec.mode ?? "enforce");
    return true;
  }

  #outcome(desired: DesiredPolicy) {
    const { ref, hash } = desired;
    const base = { ref, specHash: hash, hooks: [] };
    const message = "problem" in desired ? desired.problem : this.fails(desired);
    if (desired.isDisabled) return { ...base, state: "Skipped" as const, reason: "Disabled" as const };
    if (message !== undefined) return { ...base, state: "Failed" as const, message };
    return { ...base, attachedHash: hash, state: "Attached" as const };
  }
}

/** How often the health service looks at the checks. */
const HEALTH_MS = 50;

/** What tests look at and move. */
export type TestApi = Awaited<ReturnType<typeof makeApi>>;

/** Starts everything; `others` are further sources of policies. */
export async function makeApi(
  options: {
    others?: SpecSource[];
    directory?: string;
    keepsDirectory?: boolean;
    eventLog?: EventLog;
    limits?: StreamLimits;
    /** Absent: a UNIX socket in the directory. */
    address?: ServerAddress;
    tls?: TlsFiles;
    maxConnections?: number;
    callLimits?: CallLimits;
  } = {},
) {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "trigon-api-"));
  const logger = createLogger({ component: "test", level: "error" });
  const shell = setupShell(makeHookDef(), { outputs: [] });
  const source = await ApiSource.open(join(directory, "policies"), logger);
  const overrides = new PolicyOverrides();
  const kernel = new FakeKernel();
  const tried = new Set<(key: string) => void>();
  const sources = [...(options.others ?? []), source].map((one) => withOverrides(one, overrides));
  const loop = new PolicyLoop({
    sources,
    reconciler: kernel as unknown as Reconciler,
    logger,
    onOutcome: () => {},
    onTried: (key) => {
      for (const listener of tried) listener(key);
    },
  });
  overrides.onChange(() => loop.trigger());
  loop.start();
  await loop.initialSetTried;
  const counts = { sent: 0, lost: 0, open: 0 };
  const checks: HealthChecks = { live: {}, ready: {} };
  const socket = join(directory, "trigon.sock");
  const api = await startApi({
    address: options.address ?? { path: socket },
    ...(options.tls && { tls: options.tls }),
    ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    logger,
    services: {
      ...(options.callLimits && { callLimits: options.callLimits }),
      agent: {
        version: "1.2.3",
        logger,
        features: () => ({ btf: true, bpfLsm: false }),
        settings: { "node-name": "node-1" },
        processes: () => shell.processes.images(),
        processFields: {},
      },
      health: { checks, intervalMs: HEALTH_MS },
      policies: {
        source,
        overrides,
        sources,
        running: {
          outcomes: () => [...kernel.outcomes.values()],
          hooks: () => [],
          counts: () => [],
          starting: () => undefined,
          onTried: (listener) => {
            tried.add(listener);
            return () => tried.delete(listener);
          },
        },
      },
      eventLog: options.eventLog,
      events: {
        addOutput: (output) => shell.pipeline.addOutput(output),
        removeOutput: (output) => shell.pipeline.removeOutput(output),
        counts,
        ...(options.limits && { limits: options.limits }),
      },
      encoding: { nodeName: "node-1", clock: shell.wallClock },
    },
  });
  const close = async () => {
    await api.close();
    await loop.stop();
    if (!options.keepsDirectory) rmSync(directory, { recursive: true });
  };
  return { ...shell, api, socket, counts, checks, kernel, logger, source, directory, close };
}

/** A client of both services; answers are messages of protobuf-es. */
export class TestClient {
  readonly #clients: Record<string, Client> = {};
  readonly #address: string;
  readonly #options: ChannelOptions;

  constructor(socket: string, options: ChannelOptions = {}) {
    this.#address = `unix://${socket}`;
    this.#options = { "grpc.use_local_subchannel_pool": 1, ...options };
  }

  /** Resolves with the answer, or with the error. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  call(method: string, request: object = {}, service = "tetragon.FineGuidanceSensors"): Promise<any> {
    const client = this.#client(service) as unknown as Record<string, (...args: unknown[]) => void>;
    return new Promise((resolve) => {
      client[method]?.(request, (error: ServiceError | null, answer: object) => resolve(error ?? answer));
    });
  }

  /** The error that ends a stream. */
  async failure(request: object): Promise<ServiceError> {
    const client = this.#client("tetragon.FineGuidanceSensors") as unknown as {
      GetEvents(request: object): ClientReadableStream<never>;
    };
    return new Promise((resolve) =>
      client.GetEvents(request).on("error", (error) => resolve(error as ServiceError)),
    );
  }

  /** Opens a stream of events; it is active when the promise resolves. */
  async events(request: object = {}): Promise<ClientReadableStream<never>> {
    const client = this.#client("tetragon.FineGuidanceSensors") as unknown as {
      GetEvents(request: object): ClientReadableStream<never>;
    };
    const stream = client.GetEvents(request);
    stream.on("error", () => {});
    await Promise.race(
      ["metadata", "error"].map((event) => new Promise((resolve) => stream.once(event, resolve))),
    );
    return stream;
  }

  close(): void {
    for (const client of Object.values(this.#clients)) client.close();
  }

  #client(service: string): Client {
    const known = this.#clients[service];
    if (known) return known;
    const Constructor = makeClientConstructor(defineService(service), service);
    const client = new Constructor(this.#address, credentials.createInsecure(), this.#options);
    this.#clients[service] = client;
    return client;
  }
}
