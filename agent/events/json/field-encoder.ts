/** Lines without some of their fields. */
import { ByteWriter } from "../byte-writer.ts";
import type { EventEncoder } from "../encoder.ts";
import type { ExecEvent, ExitEvent, HookEvent } from "../event.ts";
import type { JsonCutter } from "../filters/json-fields.ts";

const LINE_END = 0x0a;

/** Writes the lines of another encoder as the cutters leave them. */
export class FieldEncoder implements EventEncoder {
  readonly #encoder: EventEncoder;
  readonly #cutters: readonly JsonCutter[];
  #line = new ByteWriter();
  #next = new ByteWriter();

  constructor(encoder: EventEncoder, cutters: readonly JsonCutter[]) {
    this.#encoder = encoder;
    this.#cutters = cutters;
  }

  hook(out: ByteWriter, event: HookEvent): void {
    this.#encoder.hook(this.#line, event);
    this.#cutInto(out);
  }

  exec(out: ByteWriter, event: ExecEvent): void {
    this.#encoder.exec(this.#line, event);
    this.#cutInto(out);
  }

  exit(out: ByteWriter, event: ExitEvent): void {
    this.#encoder.exit(this.#line, event);
    this.#cutInto(out);
  }

  #cutInto(out: ByteWriter): void {
    for (const cutter of this.#cutters) {
      cutter(this.#line.view(), this.#next);
      this.#next.byte(LINE_END);
      this.#line.length = 0;
      [this.#line, this.#next] = [this.#next, this.#line];
    }
    out.bytes(this.#line.view());
    this.#line.length = 0;
  }
}
