/** CEL expressions over events: loaded when the first client asks for one. */
import { celEnv, parse, plan } from "@bufbuild/cel";
import { fromBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { messageType, registry } from "../../../proto/descriptors.ts";
import { ByteWriter } from "../byte-writer.ts";
import type { EventEncoder } from "../encoder.ts";
import type { OutputEvent } from "../event.ts";
import { checkCondition, type Known } from "./cel-check.ts";
import type { CelCompiler } from "./compile.ts";

const EVENT = messageType("tetragon.GetEventsResponse");
/** Messages of events by the names of their fields. */
const VARIABLES = new Map(
  EVENT.oneofs.flatMap(({ fields }) =>
    fields.flatMap(({ name, message }) => (message ? [[name, message] as const] : [])),
  ),
);

const PACKAGES = ["google", "tetragon", "trigon"];

/**
 * Compiles expressions over one variable, named as the event's field in GetEventsResponse: `process_exec.process.pid == 1u`.
 * An expression that fails, as it does for events of another type, or that is not true matches nothing. One that could
 * never be true is refused.
 */
export function celCompiler(encoder: EventEncoder): CelCompiler {
  const env = celEnv({ registry });
  const known: Known = {
    variables: VARIABLES,
    others: PACKAGES,
    hasFunction: (name) => env.funcs.find(name) !== undefined,
  };
  const out = new ByteWriter();
  return (expression) => {
    const parsed = parse(expression);
    checkCondition(parsed.expr, known);
    const evaluate = plan(env, parsed);
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
