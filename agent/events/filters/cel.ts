/** CEL expressions over events: loaded when the first client asks for one. */
import { celEnv, parse, plan } from "@bufbuild/cel";
import { fromBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { messageType, registry } from "../../../proto/descriptors.ts";
import { ByteWriter } from "../byte-writer.ts";
import type { EventEncoder } from "../encoder.ts";
import type { OutputEvent } from "../event.ts";
import type { CelCompiler } from "./compile.ts";

const EVENT = messageType("tetragon.GetEventsResponse");

/**
 * Compiles expressions over one variable, named as the event's field in GetEventsResponse: `process_exec.process.pid == 1u`.
 * An expression that fails, as it does for events of another type, or that is not true matches nothing.
 */
export function celCompiler(encoder: EventEncoder): CelCompiler {
  const env = celEnv({ registry });
  const out = new ByteWriter();
  return (expression) => {
    const evaluate = plan(env, parse(expression));
    return (event) => {
      encode(encoder, out, event);
      const variables = variablesOf(out.take());
      try {
        return evaluate(variables) === true;
      } catch {
        return false;
      }
    };
  };
}

function encode(encoder: EventEncoder, out: ByteWriter, event: OutputEvent): void {
  if (event.kind === "hook") encoder.hook(out, event);
  else if (event.kind === "exec") encoder.exec(out, event);
  else encoder.exit(out, event);
}

function variablesOf(bytes: Uint8Array): Record<string, never> {
  const message = reflect(EVENT, fromBinary(EVENT, bytes));
  const [event] = EVENT.oneofs;
  const field = event && message.oneofCase(event);
  return field ? { [field.name]: message.get(field) as never } : {};
}
