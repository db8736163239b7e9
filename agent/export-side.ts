/** The export put together: what is filtered, limited, cut and encoded on the way to the sink. */
import type { Registry } from "prom-client";
import type { PolicyRef } from "../crds/names.ts";
import { utf8 } from "./events/byte-writer.ts";
import type { EventEncoder } from "./events/encoder.ts";
import type { OutputEvent } from "./events/event.ts";
import { RateLimit } from "./events/export/rate-limit.ts";
import type { EventSink } from "./events/export/sink.ts";
import type { CelCompiler } from "./events/filters/compile.ts";
import { JsonEncoder } from "./events/json/encoder.ts";
import type { EventFilter, Output } from "./events/outputs.ts";
import type { ProtobufOptions } from "./events/protobuf/encoder.ts";
import type { ExportConfig } from "./export-config.ts";
import { ExportDrops } from "./metrics/export-drops.ts";

/** What the export needs. */
export interface ExportSideDeps {
  sink: EventSink;
  encoding: ProtobufOptions;
  registry: Registry;
  /** The pipeline, as far as the export changes it. */
  pipeline: { addOutput(output: Output): void; removeOutput(output: Output): void };
}

/** One output of the pipeline, which a new configuration replaces. */
export class ExportSide {
  readonly #deps: ExportSideDeps;
  readonly #encoder: JsonEncoder;
  readonly #drops: ExportDrops;
  #output: Output | undefined;
  #limit: RateLimit | undefined;

  constructor(deps: ExportSideDeps) {
    this.#deps = deps;
    this.#encoder = new JsonEncoder(deps.encoding);
    this.#drops = new ExportDrops(deps.registry);
  }

  /** Exports as the configuration has it from the next event on. Rejects, and changes nothing, where it cannot be used. */
  async apply(config: ExportConfig): Promise<void> {
    const { pipeline, sink } = this.#deps;
    const filter = await this.#filter(config);
    const encoder = await this.#encoderFor(config);
    this.#end();
    this.#limit = this.#makeLimit(config);
    const limited = this.#limited(filter, this.#limit);
    this.#output = { ...(limited && { filter: limited }), encoder, sink };
    pipeline.addOutput(this.#output);
  }

  /** Drops what is counted for a policy that is gone. */
  forgetPolicy(policy: PolicyRef): void {
    this.#drops.forget(policy);
  }

  /** Hands everything over to the sink. */
  close(): void {
    this.#end();
  }

  #end(): void {
    if (this.#output) this.#deps.pipeline.removeOutput(this.#output);
    this.#output = undefined;
    this.#limit?.close();
  }

  /** What filters are made of is loaded only where there are some. */
  async #filter({ allow, deny }: ExportConfig): Promise<EventFilter | undefined> {
    if (allow.length + deny.length === 0) return undefined;
    const { compileFilters, usesCel } = await import("./events/filters/compile.ts");
    return compileFilters(allow, deny, usesCel([...allow, ...deny]) ? await this.#cel() : () => () => false);
  }

  async #cel(): Promise<CelCompiler> {
    const [{ celCompiler }, { ProtobufEncoder }] = await Promise.all([
      import("./events/filters/cel.ts"),
      import("./events/protobuf/encoder.ts"),
    ]);
    return celCompiler(new ProtobufEncoder(this.#deps.encoding));
  }

  async #encoderFor({ fields }: ExportConfig): Promise<EventEncoder> {
    if (fields.length === 0) return this.#encoder;
    const [{ compileJsonFieldFilters }, { FieldEncoder }] = await Promise.all([
      import("./events/filters/json-fields.ts"),
      import("./events/json/field-encoder.ts"),
    ]);
    return new FieldEncoder(this.#encoder, compileJsonFieldFilters(fields));
  }

  #makeLimit({ rateLimit }: ExportConfig): RateLimit | undefined {
    if (rateLimit === undefined) return undefined;
    const report = (dropped: number) => {
      this.#deps.sink.write(utf8(this.#encoder.lossLine(dropped, Date.now())), 1);
    };
    return new RateLimit({ perMinute: rateLimit, nowMs: () => performance.now(), report });
  }

  /** The limit comes last: it counts what nothing else would have dropped. */
  #limited(filter: EventFilter | undefined, limit: RateLimit | undefined): EventFilter | undefined {
    if (!limit) return filter;
    return (event) => (filter === undefined || filter(event)) && this.#admits(limit, event);
  }

  #admits(limit: RateLimit, event: OutputEvent): boolean {
    if (limit.admits()) return true;
    this.#drops.count(event.kind === "hook" ? event.hook.policy : undefined);
    return false;
  }
}
