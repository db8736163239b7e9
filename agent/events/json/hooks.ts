/** The constant JSON of a hook's events, made once per hook, and what is written between its parts. */
import type { ArgType } from "../../../crds/argument-types.ts";
import type { ArgDef } from "../../../crds/hook-spec.ts";
import type { RecordBatch } from "../../records/decode.ts";
import {
  failedDepth,
  firstSlot,
  isUnread,
  nextSlot,
  payloadAt,
  payloadSize,
  slotCount,
} from "../../records/hook-record.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import type { RegisteredHook } from "../event.ts";
import { unreadMessage } from "../unread.ts";
import { ARGUMENT_FORMATS, type ArgumentWriter } from "./arguments.ts";

/** What stands around the arguments of a hook's events, and how these are written. */
export interface HookFragments {
  /** `{"process_kprobe":{` */
  open: Uint8Array;
  beforeArguments: Uint8Array;
  arguments: readonly SlotFragments[];
  /** Values that are no arguments; their slots follow. */
  data: readonly SlotFragments[];
  returned: SlotFragments | undefined;
  /** What follows the arguments, by action number. */
  byAction: (ActionFragments | undefined)[];
  /** Makes the fragments for an action that has not been seen yet. */
  makeAction(action: number): ActionFragments;
  /** From the action to the user stack, and from the body's end to the time. */
  afterKernelStack: Uint8Array;
  end: Uint8Array;
}

/** The end of an event whose record carries nothing after its arguments, and its beginning for one that does. */
interface ActionFragments {
  /** From the arguments to the time. */
  whole: Uint8Array;
  /** Up to the kernel stack. */
  action: Uint8Array;
}

interface SlotFragments {
  /** Absent: the type shows nothing. */
  write: ArgumentWriter | undefined;
  minBytes: number;
  /** `}` or `,"label":"..."}`. */
  close: Uint8Array;
}

const ACTIONS: readonly string[] = [
  "UNKNOWN",
  "POST",
  "FOLLOWFD",
  "SIGKILL",
  "UNFOLLOWFD",
  "OVERRIDE",
  "COPYFD",
  "GETURL",
  "DNSLOOKUP",
  "NOPOST",
  "SIGNAL",
  "TRACKSOCK",
  "UNTRACKSOCK",
  "NOTIFYENFORCER",
  "CLEANUPENFORCERNOTIFICATION",
  "SET",
];

const ARGS_OPEN = utf8(',"args":[{');
const DATA_OPEN = utf8(',"data":[{');
const RETURN_OPEN = utf8(',"return":{');
const LIST_CLOSE = utf8("]");
const SLOT_NEXT = utf8(",{");
/** By depth: the few that there are. */
const unreadParts = new Map<number, Uint8Array>();
const READ_FAILED = unreadPart(0);

function unreadPart(depth: number): Uint8Array {
  const known = unreadParts.get(depth);
  if (known !== undefined) return known;
  const part = utf8(`"error_arg":{"Message":"${unreadMessage(depth)}"}`);
  unreadParts.set(depth, part);
  return part;
}

/** Constant parts in the field order of upstream's messages. */
export function makeHookFragments(hook: RegisteredHook, nodeName: string): HookFragments {
  const { def } = hook;
  const { open, before, action, after } = messageParts(hook);
  const end = `}${field("node_name", nodeName)},"time":"`;
  const byAction: HookFragments["byAction"] = [];
  return {
    open: utf8(open),
    beforeArguments: utf8(before),
    arguments: def.args.filter(({ source }) => source === undefined).map(slotFragments),
    data: def.args.filter(({ source }) => source !== undefined).map(slotFragments),
    returned: def.returnArg && slotFragments(def.returnArg),
    byAction,
    makeAction: (number) => {
      const shown = action(`KPROBE_ACTION_${ACTIONS[number] ?? "UNKNOWN"}`);
      const fragments = { whole: utf8(shown + after + end), action: utf8(shown) };
      byAction[number] = fragments;
      return fragments;
    },
    afterKernelStack: utf8(after),
    end: utf8(end),
  };
}

interface MessageParts {
  open: string;
  /** Up to the arguments, from there to the kernel stack, and from there on. */
  before: string;
  action(name: string): string;
  after: string;
}

/** One message per section; fields stand where upstream's .proto has them. */
function messageParts({ def, functionName, policy, isDrift }: RegisteredHook): MessageParts {
  const name = field("policy_name", policy.name);
  const message = def.message === undefined ? "" : field("message", def.message);
  const tags = def.tags === undefined || def.tags.length === 0 ? "" : field("tags", def.tags);
  const shown = (action: string) => field("action", action);
  if (isDrift) {
    const before = `${field("noticed_at", functionName)}${policy.name === "" ? "" : name}`;
    return { open: '{"credential_drift":{', before, action: () => "", after: "" };
  }
  switch (def.section) {
    case "lsmhooks": {
      const before = `${field("function_name", def.call)}${name}${message}`;
      return { open: '{"process_lsm":{', before, action: shown, after: tags };
    }
    case "tracepoints": {
      const [subsystem, event] = def.call.split("/", 2);
      const before = `${field("subsys", subsystem)}${field("event", event)}`;
      const action = (action: string) => `${name}${shown(action)}`;
      return { open: '{"process_tracepoint":{', before, action, after: `${message}${tags}` };
    }
    default: {
      // upstream's kprobe events always have the return action POST
      const after = `${name}${field("return_action", "KPROBE_ACTION_POST")}${message}${tags}`;
      const before = field("function_name", functionName);
      return { open: '{"process_kprobe":{', before, action: shown, after };
    }
  }
}

function slotFragments({ type, label }: Pick<ArgDef, "label"> & { type: ArgType }): SlotFragments {
  const format = ARGUMENT_FORMATS[type];
  return {
    write: format?.write,
    minBytes: format?.minBytes ?? 0,
    close: utf8(label === undefined ? "}" : `${field("label", label)}}`),
  };
}

/** `,"args":[...]`, or nothing when no argument shows anything. `end` is the word index after the record. */
export function writeArguments(
  out: ByteWriter,
  batch: RecordBatch,
  at: number,
  end: number,
  fragments: readonly SlotFragments[],
): void {
  const count = Math.min(slotCount(batch.words, at), fragments.length);
  writeSlots(out, batch, firstSlot(at), end, fragments, count, ARGS_OPEN);
}

/** The same for `data`, from its first slot on. */
export function writeData(
  out: ByteWriter,
  batch: RecordBatch,
  slot: number,
  end: number,
  fragments: readonly SlotFragments[],
  count: number,
): void {
  writeSlots(out, batch, slot, end, fragments, Math.min(count, fragments.length), DATA_OPEN);
}

/** `,"return":{...}` from its slot. */
export function writeReturn(
  out: ByteWriter,
  batch: RecordBatch,
  slot: number,
  end: number,
  fragment: SlotFragments,
): void {
  if (fragment.write === undefined || nextSlot(batch.words, slot) > end) return;
  out.bytes(RETURN_OPEN);
  writeSlot(out, batch, slot, fragment, fragment.write);
}

function writeSlots(
  out: ByteWriter,
  batch: RecordBatch,
  from: number,
  end: number,
  fragments: readonly SlotFragments[],
  count: number,
  open: Uint8Array,
): void {
  const { words } = batch;
  let slot = from;
  let isFirst = true;
  for (let i = 0; i < count; i++) {
    const next = nextSlot(words, slot);
    if (!(next <= end)) break; // no well-formed record gets here
    const fragment = fragments[i] as SlotFragments;
    if (fragment.write !== undefined) {
      out.bytes(isFirst ? open : SLOT_NEXT);
      writeSlot(out, batch, slot, fragment, fragment.write);
      isFirst = false;
    }
    slot = next;
  }
  if (!isFirst) out.bytes(LIST_CLOSE);
}

/** The inside of an argument and its end. */
function writeSlot(
  out: ByteWriter,
  batch: RecordBatch,
  slot: number,
  fragment: SlotFragments,
  write: ArgumentWriter,
): void {
  const { words } = batch;
  const size = payloadSize(words, slot);
  if (isUnread(words, slot)) out.bytes(unreadPart(failedDepth(words, slot)));
  else if (size < fragment.minBytes) out.bytes(READ_FAILED);
  else write(out, batch, payloadAt(slot), size);
  out.bytes(fragment.close);
}

function field(name: string, value: unknown): string {
  return `,"${name}":${JSON.stringify(value)}`;
}
