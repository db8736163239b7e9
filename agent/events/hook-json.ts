/** The constant JSON of a hook's events, made once per hook. */

import { ARGUMENT_WRITERS, type ArgumentWriter, payloadBytes } from "./argument-json.ts";
import { type ByteWriter, utf8 } from "./byte-writer.ts";
import type { RecordBatch } from "./decode.ts";
import type { RegisteredHook } from "./encoder.ts";
import { ARG_READ_FAILED, HOOK, HOOK_SIZE, SLOT_SIZE } from "./record-layout.ts";

/** What stands around the arguments of a hook's events, and how these are written. */
export interface HookFragments {
  /** `{"process_kprobe":{` */
  open: Uint8Array;
  beforeArguments: Uint8Array;
  arguments: readonly ArgumentFragments[];
  /** From the arguments to the time, by action number. */
  afterArguments: (Uint8Array | undefined)[];
  /** Makes the fragment for an action that has not been seen yet. */
  makeAfter(action: number): Uint8Array;
}

interface ArgumentFragments {
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

const ARGS_OPEN = utf8(',"args":[');
const ARGS_CLOSE = utf8("]");
const ARGUMENT_OPEN = utf8("{");
const ARGUMENT_NEXT = utf8(",{");
const READ_FAILED = utf8('"error_arg":{"Message":"Bad address for basic type"}');

/** Constant parts in the field order of upstream's messages. */
export function makeHookFragments(hook: RegisteredHook, nodeName: string): HookFragments {
  const { def } = hook;
  const isLsm = def.section === "lsmhooks";
  const name = field("function_name", hook.functionName);
  const policy = field("policy_name", hook.policy.name);
  const message = def.message === undefined ? "" : field("message", def.message);
  const tags = def.tags === undefined || def.tags.length === 0 ? "" : field("tags", def.tags);
  const after = (action: number): string => {
    const shown = field("action", `KPROBE_ACTION_${ACTIONS[action] ?? "UNKNOWN"}`);
    // upstream's kprobe events always say that the return was posted
    const kprobe = `${shown}${policy}${field("return_action", "KPROBE_ACTION_POST")}${message}${tags}`;
    return `${isLsm ? `${shown}${tags}` : kprobe}}${field("node_name", nodeName)},"time":"`;
  };
  const fragments: HookFragments = {
    open: utf8(isLsm ? '{"process_lsm":{' : '{"process_kprobe":{'),
    beforeArguments: utf8(isLsm ? `${name}${policy}${message}` : name),
    arguments: def.args.map(({ type, label }) => ({
      write: ARGUMENT_WRITERS[type],
      minBytes: payloadBytes(type),
      close: utf8(label === undefined ? "}" : `${field("label", label)}}`),
    })),
    afterArguments: [],
    makeAfter: (action) => {
      const fragment = utf8(after(action));
      fragments.afterArguments[action] = fragment;
      return fragment;
    },
  };
  return fragments;
}

const W_ACTION_ARGS = HOOK.selector >> 2;

/** Number of the action that a hook record says was taken. */
export function recordAction(words: Uint32Array, at: number): number {
  return ((words[at + W_ACTION_ARGS] as number) >>> 16) & 0xff;
}

/** `,"args":[...]`, or nothing when no argument shows anything. `end` is the word index after the record. */
export function writeArguments(
  out: ByteWriter,
  batch: RecordBatch,
  at: number,
  end: number,
  fragments: readonly ArgumentFragments[],
): void {
  const { words } = batch;
  const count = Math.min((words[at + W_ACTION_ARGS] as number) >>> 24, fragments.length);
  let slot = at + (HOOK_SIZE >> 2);
  let isFirst = true;
  for (let i = 0; i < count; i++) {
    const sizes = words[slot + 1] as number;
    const payload = slot + (SLOT_SIZE >> 2);
    const next = payload + ((sizes & 0xffff) >>> 2);
    if (next > end) break; // no well-formed record gets here
    const fragment = fragments[i] as ArgumentFragments;
    if (fragment.write !== undefined) {
      if (isFirst) out.bytes(ARGS_OPEN);
      out.bytes(isFirst ? ARGUMENT_OPEN : ARGUMENT_NEXT);
      const size = Math.min(sizes >>> 16, sizes & 0xffff);
      const isFailed = ((words[slot] as number) & 0xffff) === ARG_READ_FAILED || size < fragment.minBytes;
      if (isFailed) out.bytes(READ_FAILED);
      else fragment.write(out, batch, payload, size);
      out.bytes(fragment.close);
      isFirst = false;
    }
    slot = next;
  }
  if (!isFirst) out.bytes(ARGS_CLOSE);
}

function field(name: string, value: unknown): string {
  return `,"${name}":${JSON.stringify(value)}`;
}
