/** Builds the gRPC side: the source with policies of clients, their overrides, and the server itself. */
import type { Registry } from "prom-client";
import type { HealthChecks } from "../lib/health.ts";
import type { Logger } from "../lib/logger.ts";
import { addressText, type ServerAddress } from "./api/address.ts";
import type { ServicesDeps } from "./api/grpc-server.ts";
import { writeInfoFile } from "./api/info-file.ts";
import { startApi, startHealthApi } from "./api/start.ts";
import type { Config } from "./config.ts";
import { FileSink } from "./events/export/file.ts";
import type { EventSink } from "./events/export/sink.ts";
import type { EventPipeline } from "./events/pipeline.ts";
import type { ProtobufOptions } from "./events/protobuf/encoder.ts";
import type { HookEngine } from "./hooks/engine.ts";
import { featureFlags } from "./hooks/kernel/features.ts";
import type { HookCounts } from "./metrics/kernel-metrics.ts";
import { type StreamCounts, streamMetrics } from "./metrics/stream-metrics.ts";
import type { PolicyLoop } from "./policies/loop.ts";
import { PolicyOverrides, withOverrides } from "./policies/overrides.ts";
import type { Reconciler } from "./policies/reconcile.ts";
import { ApiSource } from "./policies/sources/api.ts";
import type { SpecSource } from "./policies/sources/source.ts";
import type { ProcessCache } from "./process/cache.ts";

/** What the API is about. */
export interface ApiParts {
  version: string;
  engine: HookEngine;
  pipeline: EventPipeline;
  processes: ProcessCache;
  encoding: ProtobufOptions;
  reconciler: Reconciler;
  readCounts: () => HookCounts[];
  loop: PolicyLoop;
  checks: HealthChecks;
  sink: EventSink;
}

/** Policies and overrides of clients, which exist before anything runs, and later the server. */
export class ApiSide {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #source: ApiSource;
  readonly #overrides = new PolicyOverrides();
  readonly #listeners = new Set<(key: string) => void>();
  readonly #counts: StreamCounts;
  #sources: readonly SpecSource[] = [];

  private constructor(config: Config, logger: Logger, counts: StreamCounts, source: ApiSource) {
    this.#config = config;
    this.#logger = logger;
    this.#counts = counts;
    this.#source = source;
  }

  /** With the policies that clients have added before. */
  static async open(config: Config, logger: Logger, registry: Registry): Promise<ApiSide> {
    const source = await ApiSource.open(config.policyStateDir, logger);
    return new ApiSide(config, logger, streamMetrics(registry), source);
  }

  /** All sources, with the policies and overrides of clients. */
  sources(others: readonly SpecSource[]): readonly SpecSource[] {
    this.#sources = [...others, this.#source].map((source) => withOverrides(source, this.#overrides));
    return this.#sources;
  }

  /** For the policy loop. */
  tried(key: string): void {
    for (const listener of this.#listeners) listener(key);
  }

  /** Starts the server. If the agent cannot listen on the default address, it runs without one. */
  async serve(parts: ApiParts, running: AsyncDisposableStack): Promise<void> {
    const { server } = this.#config;
    if (!server) return;
    this.#overrides.onChange(() => parts.loop.trigger());
    try {
      const api = await startApi({ ...server, logger: this.#logger, services: this.#services(parts) });
      running.defer(() => api.close());
      running.defer(await this.#publishAddress(api.address));
    } catch (error) {
      if (server.isRequired) throw error;
      this.#logger.warn("gRPC is not served", { error });
    }
  }

  /** Clients that are given no address find it in a file; where that cannot be written, they need one. */
  async #publishAddress(address: ServerAddress): Promise<() => void> {
    const { export: output, metricsServer } = this.#config;
    const metrics = metricsServer ? addressText(metricsServer) : "";
    try {
      const about = { metrics_address: metrics, export_fname: output.filename ?? "", pid: process.pid };
      return await writeInfoFile(address, about);
    } catch (error) {
      this.#logger.debug("the file with the address of the gRPC server is not written", { error });
      return () => {};
    }
  }

  #services(parts: ApiParts): ServicesDeps {
    const { version, engine, pipeline, processes, encoding, checks, sink } = parts;
    return {
      agent: {
        version,
        logger: this.#logger,
        features: () => featureFlags(engine.features),
        settings: settingsOf(this.#config),
        processes: () => processes.images(),
        processFields: encoding.process ?? {},
      },
      health: { checks, intervalMs: this.#config.healthServer.intervalMs },
      policies: {
        source: this.#source,
        overrides: this.#overrides,
        sources: this.#sources,
        running: this.#running(parts),
      },
      eventLog: sink instanceof FileSink ? sink : undefined,
      events: {
        addOutput: (output) => pipeline.addOutput(output),
        removeOutput: (output) => pipeline.removeOutput(output),
        counts: this.#counts,
      },
      encoding,
    };
  }

  #running({ reconciler, readCounts, loop }: ApiParts): ServicesDeps["policies"]["running"] {
    return {
      outcomes: () => reconciler.outcomes(),
      hooks: () => reconciler.attachedHooks(),
      counts: readCounts,
      starting: () => loop.unreadSources,
      onTried: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }
}

/** Formats values as strings, objects as JSON. */
function settingsOf(config: Config): Record<string, string> {
  const entries = Object.entries(config).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return Object.fromEntries(entries);
}

/** Serves gRPC's health service. If the agent cannot listen on the default address, it runs without. */
export async function serveHealth(
  { healthServer: { address, isRequired, intervalMs } }: Config,
  checks: HealthChecks,
  logger: Logger,
  running: AsyncDisposableStack,
): Promise<void> {
  if (!address) return;
  try {
    const api = await startHealthApi({ address, health: { checks, intervalMs }, logger });
    running.defer(() => api.close());
  } catch (error) {
    if (isRequired) throw error;
    logger.warn("gRPC health is not served", { error });
  }
}
