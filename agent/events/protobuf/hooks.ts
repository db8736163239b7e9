/** Hook events: the constant bytes of a hook, made once, and what is written from each record. */
import type { ArgType } from "../../../crds/argument-types.ts";
import type { ArgDef } from "../../../crds/hook-spec.ts";
import type { RecordBatch } from "../../records/decode.ts";
import { ENCODER_SLOTS } from "../../records/encoded.ts";
import {
  failedDepth,
  firstSlot,
  frameCount,
  isUnread,
  locateParts,
  nextSlot,
  payloadAt,
  payloadSize,
  recordAction,
  recordEnd,
  recordFlags,
  slotCount,
  stackError,
} from "../../records/hook-record.ts";
import { RECORD_CRED_FAILED } from "../../records/layout.ts";
import { utf8 } from "../byte-writer.ts";
import type { HookEvent, RegisteredHook } from "../event.ts";
import type { CredentialChangeDetail } from "../json/credential-change.ts";
import { hashText } from "../json/hashes.ts";
import { unreadMessage } from "../unread.ts";
import { ARGUMENT_FORMATS, type ArgumentFormat } from "./arguments.ts";
import { writeCredentialChange, writeUnreadChange } from "./credential-change.ts";
import type { StackWriter } from "./stacks.ts";
import { writeSystemCall } from "./system-call.ts";
import { bytesKey, type ProtoWriter, varintKey, ProtoWriter as Writer } from "./writer.ts";

/** Numbers of an event in GetEventsResponse and of the fields in its message. */
interface HookMessage {
  event: number;
  args: number;
  returned: number;
  action: number;
  kernelStack: number;
  userStack: number;
  data: number;
}

const ADDED = { returned: 20_001, kernelStack: 20_002, userStack: 20_003, data: 20_004 };
const KPROBE: HookMessage = {
  ...{ event: 9, args: 4, returned: 5, action: 6, kernelStack: 7, userStack: 12, data: 14 },
};
const TRACEPOINT: HookMessage = { event: 10, args: 6, action: 8, ...ADDED };
const LSM: HookMessage = { event: 28, args: 7, action: 8, ...ADDED };
const DRIFT: HookMessage = { event: 20_000, args: 0, action: 0, ...ADDED };
const CREDENTIAL_CHANGE = bytesKey(20_000);
const IMA_HASH = bytesKey(11);
const LABEL = bytesKey(18);
const ERROR = bytesKey(32);
const ACTIONS = 16;

/** What an encoder keeps for a hook. */
interface HookFields {
  message: HookMessage;
  /** Fields that are the same in each event. */
  constant: Uint8Array;
  args: readonly SlotFields[];
  data: readonly SlotFields[];
  returned: SlotFields | undefined;
}

interface SlotFields {
  /** Absent: the type shows nothing. */
  format: ArgumentFormat | undefined;
  /** The field `label`; may be empty. */
  label: Uint8Array;
}

const SLOT = ENCODER_SLOTS.protobuf;

/** The key of the event that a hook's records become. */
export function eventKey(hook: RegisteredHook): number {
  return bytesKey(fieldsOf(hook).message.event);
}

/** What hook events show beside the basics. */
export interface HookOptions {
  stacks: StackWriter;
  credentialChange: CredentialChangeDetail;
}

/** The fields of a hook event but for its processes. */
export function writeHook(out: ProtoWriter, event: HookEvent, options: HookOptions): void {
  const { batch, at, hook } = event;
  const { words } = batch;
  const fields = fieldsOf(hook);
  const { message } = fields;
  out.bytes(fields.constant);
  const count = Math.min(slotCount(words, at), fields.args.length);
  writeSlots(out, batch, firstSlot(at), recordEnd(words, at), fields.args, count, bytesKey(message.args));
  const action = recordAction(words, at);
  if (action > 0 && action < ACTIONS) {
    out.varint(varintKey(message.action));
    out.varint(action);
  }
  writeParts(out, event, fields, options);
}

/** What follows the arguments of a record: data, a return value, stacks, a hash. */
function writeParts(
  out: ProtoWriter,
  { batch, at, image, hook }: HookEvent,
  { message, data, returned }: HookFields,
  { stacks, credentialChange }: HookOptions,
): void {
  const { words } = batch;
  const end = recordEnd(words, at);
  const parts = locateParts(batch, at, hook.argCount);
  const { kernelStack, userStack, hash, credChange } = parts;
  if (parts.returned !== 0 && returned !== undefined) {
    writeSlots(out, batch, parts.returned, end, [returned], 1, bytesKey(message.returned));
  }
  stacks.kernel(
    out,
    bytesKey(message.kernelStack),
    words,
    payloadAt(kernelStack),
    frameCount(words, kernelStack),
  );
  stacks.unread(out, bytesKey(message.kernelStack), stackError(words, kernelStack));
  stacks.unread(out, bytesKey(message.userStack), stackError(words, userStack));
  stacks.user(
    out,
    bytesKey(message.userStack),
    words,
    payloadAt(userStack),
    frameCount(words, userStack),
    image,
  );
  if (hash !== 0 && !isUnread(words, hash)) out.stringField(IMA_HASH, hashText(batch, payloadAt(hash)));
  if (parts.dataCount > 0) {
    writeSlots(
      out,
      batch,
      parts.data,
      end,
      data,
      Math.min(parts.dataCount, data.length),
      bytesKey(message.data),
    );
  }
  writeSystemCall(out, words, at);
  if (credChange === 0) return;
  // the record of credentials that could not be read has zeros in their place
  if ((recordFlags(words, at) & RECORD_CRED_FAILED) !== 0)
    writeUnreadChange(out, CREDENTIAL_CHANGE, utf8(unreadMessage(0)));
  else writeCredentialChange(out, CREDENTIAL_CHANGE, words, credChange, credentialChange);
}

function fieldsOf(hook: RegisteredHook): HookFields {
  const known = hook.encoded[SLOT] as HookFields | undefined;
  if (known !== undefined) return known;
  const made = makeFields(hook);
  hook.encoded[SLOT] = made;
  return made;
}

function makeFields(hook: RegisteredHook): HookFields {
  const { def } = hook;
  return {
    ...constantFields(hook),
    args: def.args.filter(({ source }) => source === undefined).map(slotFields),
    data: def.args.filter(({ source }) => source !== undefined).map(slotFields),
    returned: def.returnArg && slotFields(def.returnArg),
  };
}

function constantFields({
  def,
  functionName,
  policy,
  isDrift,
}: RegisteredHook): Pick<HookFields, "message" | "constant"> {
  const out = new Writer();
  const field = (number: number, text: string | undefined) => {
    if (text !== undefined && text !== "") out.stringField(bytesKey(number), text);
  };
  const tags = (number: number) => {
    for (const tag of def.tags ?? []) out.stringField(bytesKey(number), tag);
  };
  if (isDrift) {
    field(3, functionName);
    field(4, policy.name);
    return { message: DRIFT, constant: out.take() };
  }
  switch (def.section) {
    case "lsmhooks":
      field(3, def.call);
      field(5, policy.name);
      field(6, def.message);
      tags(9);
      return { message: LSM, constant: out.take() };
    case "tracepoints": {
      const [subsystem, event] = def.call.split("/", 2);
      field(4, subsystem);
      field(5, event);
      field(7, policy.name);
      field(9, def.message);
      tags(10);
      return { message: TRACEPOINT, constant: out.take() };
    }
    default:
      field(3, functionName);
      field(8, policy.name);
      // upstream's kprobe events always have the return action POST
      out.byte(varintKey(9));
      out.byte(1);
      field(10, def.message);
      tags(11);
      return { message: KPROBE, constant: out.take() };
  }
}

function slotFields({ type, label }: Pick<ArgDef, "label"> & { type: ArgType }): SlotFields {
  const out = new Writer();
  if (label !== undefined && label !== "") out.stringField(LABEL, label);
  return { format: ARGUMENT_FORMATS[type], label: out.take() };
}

function writeSlots(
  out: ProtoWriter,
  batch: RecordBatch,
  from: number,
  end: number,
  fields: readonly SlotFields[],
  count: number,
  key: number,
): void {
  let slot = from;
  for (let i = 0; i < count; i++) {
    const next = nextSlot(batch.words, slot);
    if (!(next <= end)) return; // no well-formed record gets here
    const { format, label } = fields[i] as SlotFields;
    if (format !== undefined) {
      const start = out.begin(key);
      writeSlot(out, batch, slot, format);
      out.bytes(label);
      out.end(start);
    }
    slot = next;
  }
}

function writeSlot(out: ProtoWriter, batch: RecordBatch, slot: number, format: ArgumentFormat): void {
  const { words } = batch;
  const size = payloadSize(words, slot);
  if (isUnread(words, slot)) writeError(out, failedDepth(words, slot));
  else if (size < format.minBytes) writeError(out, 0);
  else format.write(out, batch, payloadAt(slot), size);
}

function writeError(out: ProtoWriter, depth: number): void {
  const start = out.begin(ERROR);
  out.bytesField(bytesKey(1), utf8(unreadMessage(depth)));
  out.end(start);
}
