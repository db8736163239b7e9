/** Checks that the API server refuses what a stolen token would try: to write the TracingNode of another node. */
import { FIELD_MANAGERS, TRACING_NODES } from "../crds/names.ts";
import type { Transport } from "../lib/api-transport.ts";
import { errorText, type Logger } from "../lib/logger.ts";
import { pause } from "../lib/pause.ts";
import { apiVersion, resourcePath } from "../lib/resources.ts";

/** How long a verdict is believed. */
const AGAIN_MS = { refused: 3_600_000, allowed: 15_000, unknown: 15_000 } as const;
/** No node has this name, and nothing is written: the request is a dry run. */
const OTHER_NODE = "trigon-write-guard-check";

const PROBLEM =
  "the API server lets this agent write the TracingNode of another node: the ValidatingAdmissionPolicy " +
  "trigon-tracingnode-writer, or its binding, is missing";

type Verdict = keyof typeof AGAIN_MS;

/** Dependencies of the check. */
export interface WriteGuardDeps {
  transport: Pick<Transport, "send">;
  logger: Logger;
  /** Waits; a test need not. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Tries at start and from time to time, and every few seconds while the write is not refused. */
export class WriteGuard {
  readonly #deps: WriteGuardDeps;
  readonly #stopped = new AbortController();
  #verdict: Verdict = "unknown";
  #running: Promise<void> | undefined;

  constructor(deps: WriteGuardDeps) {
    this.#deps = deps;
  }

  /** For /readyz; undefined while nothing is known to be wrong. */
  get problem(): string | undefined {
    return this.#verdict === "allowed" ? PROBLEM : undefined;
  }

  start(): void {
    this.#running ??= this.#run(this.#deps.sleep ?? pause);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(sleep: NonNullable<WriteGuardDeps["sleep"]>): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const verdict = await this.#try();
      if (verdict !== "unknown") this.#report(verdict);
      await sleep(AGAIN_MS[verdict], signal);
    }
  }

  async #try(): Promise<Verdict> {
    const { transport, logger } = this.#deps;
    try {
      const { status } = await transport.send({
        method: "PATCH",
        path: resourcePath(TRACING_NODES, { name: OTHER_NODE }),
        query: { fieldManager: FIELD_MANAGERS.agent, force: true, dryRun: "All" },
        body: {
          apiVersion: apiVersion(TRACING_NODES),
          kind: TRACING_NODES.kind,
          metadata: { name: OTHER_NODE },
        },
        contentType: "application/apply-patch+yaml",
      });
      return verdictOf(status);
    } catch (error) {
      logger.debug(`write guard not checked: ${errorText(error)}`);
      return "unknown";
    }
  }

  #report(verdict: Verdict): void {
    if (verdict !== this.#verdict && verdict === "allowed") this.#deps.logger.warn(PROBLEM);
    this.#verdict = verdict;
  }
}

/** A missing CRD or an overloaded server says nothing about the guard. */
function verdictOf(status: number): Verdict {
  if (status < 300) return "allowed";
  return status === 403 || status === 422 ? "refused" : "unknown";
}
