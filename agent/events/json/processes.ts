/** The JSON of a process image, made once and copied into each of its events. */
import type { Image } from "../../process/image.ts";
import { utf8 } from "../byte-writer.ts";
import {
  credentialFields,
  executedFields,
  type Fields,
  identityFields,
  type ProcessFieldOptions,
  setFields,
} from "../process-fields.ts";

/** The bytes that the encoder keeps for an image. */
export interface EncodedProcess {
  /** The process up to its reference count, from there to the thread id, and from there to the end. */
  readonly head: Uint8Array;
  readonly middle: Uint8Array;
  readonly tail: Uint8Array;
  /** The same end in a process_exec, which has more fields. */
  readonly execTail: Uint8Array;
  /** The process as it stands in events of its children; made when there is one. */
  asParent: Uint8Array | undefined;
  /** The process and its parent, as hook events of the thread group leader begin. */
  pair: Uint8Array | undefined;
  /** What the encoder kept for the parent when it made `pair`. */
  pairParent: unknown;
}

/** Everything of an image but its reference count and thread id. Fields stand in the order of upstream's message. */
export function encodeProcess(image: Image, options: ProcessFieldOptions): EncodedProcess {
  const { facts } = image;
  const { binary_properties, ...added } = executedFields(facts, options);
  const credentials = next(credentialFields(facts, options));
  const end = `,"in_init_tree":${facts.inInitTree}`;
  return {
    head: utf8(`{${inside(identityFields(image))}`),
    middle: utf8(`${next(setFields(facts, options))},"tid":`),
    tail: utf8(`${credentials}${end}}`),
    execTail: utf8(`${credentials}${next({ binary_properties })}${end}${next(added)}}`),
    asParent: undefined,
    pair: undefined,
    pairParent: undefined,
  };
}

/** Fields after others. */
function next(fields: Fields): string {
  const text = inside(fields);
  return text === "" ? "" : `,${text}`;
}

function inside(fields: Fields): string {
  return JSON.stringify(fields).slice(1, -1);
}
