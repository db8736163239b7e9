/** Lines without some of their fields. */
import { ByteWriter, utf8 } from "../byte-writer.ts";
import type { EventEncoder } from "../encoder.ts";
import type { ExecEvent, ExitEvent, HookEvent } from "../event.ts";
import type { JsonRewriter } from "../filters/json-fields.ts";

/** Writes the lines of another encoder as the rewriter changes them. */
export class FieldEncoder implements EventEncoder {
  readonly #encoder: EventEncoder;
  readonly #rewrite: JsonRewriter;
  readonly #line = new ByteWriter();

  constructor(encoder: EventEncoder, rewrite: JsonRewriter) {
    this.#encoder = encoder;
    this.#rewrite = rewrite;
  }

  hook(out: ByteWriter, event: HookEvent): void {
    this.#encoder.hook(this.#line, event);
    this.#rewriteInto(out);
  }

  exec(out: ByteWriter, event: ExecEvent): void {
    this.#encoder.exec(this.#line, event);
    this.#rewriteInto(out);
  }

  exit(out: ByteWriter, event: ExitEvent): void {
    this.#encoder.exit(this.#line, event);
    this.#rewriteInto(out);
  }

  /** Numbers beyond 2^53 are strings in the JSON form of protobuf: parsing loses nothing. */
  #rewriteInto(out: ByteWriter): void {
    const event = JSON.parse(Buffer.from(this.#line.take()).toString());
    out.bytes(utf8(`${JSON.stringify(this.#rewrite(event))}\n`));
  }
}
