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
  userFields,
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

/** Shared by the images that show nothing in these parts, which are most. */
const PLAIN_MIDDLE = utf8(',"tid":');
const PLAIN_END = ',"in_init_tree":false';
const PLAIN_TAIL = utf8(`${PLAIN_END}}`);

/** Everything of an image but its reference count and thread id. Fields stand in the order of upstream's message. */
export function encodeProcess(image: Image, options: ProcessFieldOptions): EncodedProcess {
  const { facts } = image;
  const { binary_properties, ...added } = executedFields(facts, options);
  const credentials = next(credentialFields(facts, options));
  const end = `${next(userFields(image, options))},"in_init_tree":${facts.inInitTree}`;
  const sets = next(setFields(facts, options));
  const binary = next({ binary_properties });
  const last = next(added);
  const tail = credentials === "" && end === PLAIN_END ? PLAIN_TAIL : utf8(`${credentials}${end}}`);
  return {
    head: utf8(`{${inside(identityFields(image))}`),
    middle: sets === "" ? PLAIN_MIDDLE : utf8(`${sets},"tid":`),
    tail,
    execTail: binary + last === "" ? tail : utf8(`${credentials}${binary}${end}${last}}`),
    asParent: undefined,
    pair: undefined,
    pairParent: undefined,
  };
}

/** Fields after others; an empty string where all are undefined. */
function next(fields: Fields): string {
  for (const name in fields) if (fields[name] !== undefined) return `,${inside(fields)}`;
  return "";
}

function inside(fields: Fields): string {
  return JSON.stringify(fields).slice(1, -1);
}
