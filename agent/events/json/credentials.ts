/** Credentials and user namespaces. */

import type { RecordBatch } from "../../records/decode.ts";
import { CRED, CRED_REST, MAX_GROUPS, USER_NS } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { securebitList } from "./capabilities.ts";
import { CapabilityLists, capabilityFragments } from "./capability-fragments.ts";

const OPEN = utf8("{");
const END = utf8("}");
const COMMA = utf8(",");

const USER_NS_KEY = utf8('"user_ns":');
const USER_NS_ARG_KEY = utf8('"user_ns_arg":');
const USER_NS_LEVEL = utf8('{"level":');
const USER_NS_UID = utf8(',"uid":');
const USER_NS_GID = utf8(',"gid":');
const USER_NS_INUM = utf8(',"ns":{"inum":');
const USER_NS_HOST = utf8(',"is_host":true}}');
const USER_NS_NOT_HOST = utf8("}}");

/** user_namespace. */
export function writeUserNamespace(out: ByteWriter, { words }: RecordBatch, at: number): void {
  out.bytes(USER_NS_ARG_KEY);
  writeUserNamespaceFields(out, words, at);
}

/** The struct user_ns_value at a word index as an object. Only the initial user namespace is at level 0. */
export function writeUserNamespaceFields(out: ByteWriter, words: Uint32Array, at: number): void {
  const level = (words[at + (USER_NS.level >> 2)] as number) | 0;
  out.bytes(USER_NS_LEVEL);
  out.int32(level);
  out.bytes(USER_NS_UID);
  out.uint32(words[at + (USER_NS.owner >> 2)] as number);
  out.bytes(USER_NS_GID);
  out.uint32(words[at + (USER_NS.group >> 2)] as number);
  out.bytes(USER_NS_INUM);
  out.uint32(words[at + (USER_NS.inum >> 2)] as number);
  out.bytes(level === 0 ? USER_NS_HOST : USER_NS_NOT_HOST);
}

const CRED_OPEN = utf8('"process_credentials_arg":{');
const CRED_IDS: readonly (readonly [key: Uint8Array, word: number])[] = [
  [utf8('"uid":'), CRED.uid >> 2],
  [utf8(',"gid":'), CRED.gid >> 2],
  [utf8(',"euid":'), CRED.euid >> 2],
  [utf8(',"egid":'), CRED.egid >> 2],
  [utf8(',"suid":'), CRED.suid >> 2],
  [utf8(',"sgid":'), CRED.sgid >> 2],
  [utf8(',"fsuid":'), CRED.fsuid >> 2],
  [utf8(',"fsgid":'), CRED.fsgid >> 2],
];
/** In a struct cred_value, the fields of the user namespace have the order of a struct user_ns_value. */
const CRED_USER_NS = CRED.user_ns_level >> 2;
const CRED_SECUREBITS = CRED.securebits >> 2;

const capabilityLists = new CapabilityLists();
const securebitFragments = new Map<number, Uint8Array>();

/** cred. */
export function writeCredentials(out: ByteWriter, { words }: RecordBatch, at: number): void {
  out.bytes(CRED_OPEN);
  writeIds(out, words, at);
  out.bytes(capabilityFragments.get(words, at + (CRED.cap_permitted >> 2)));
  writeUserNs(out, words, at);
  out.bytes(END);
}

function writeIds(out: ByteWriter, words: Uint32Array, at: number): void {
  for (let i = 0; i < 8; i++) {
    const [key, word] = CRED_IDS[i] as readonly [Uint8Array, number];
    out.bytes(key);
    out.uint32(words[at + word] as number);
  }
  const securebits = words[at + CRED_SECUREBITS] as number;
  if (securebits !== 0) out.bytes(securebitFragment(securebits));
}

function writeUserNs(out: ByteWriter, words: Uint32Array, at: number): void {
  out.bytes(COMMA);
  out.bytes(USER_NS_KEY);
  writeUserNamespaceFields(out, words, at + CRED_USER_NS);
}

function securebitFragment(securebits: number): Uint8Array {
  let fragment = securebitFragments.get(securebits);
  if (fragment === undefined) {
    fragment = utf8(`,"securebits":${JSON.stringify(securebitList(securebits))}`);
    if (securebitFragments.size < 1024) securebitFragments.set(securebits, fragment);
  }
  return fragment;
}

/** The sets of a struct cred_value and of a struct cred_rest_value, with and without a comma before. */
const CRED_SETS = capabilityKeys({
  permitted: CRED.cap_permitted,
  effective: CRED.cap_effective,
  inheritable: CRED.cap_inheritable,
});
const REST_SETS = capabilityKeys({ bounding: CRED_REST.cap_bounding, ambient: CRED_REST.cap_ambient });
const CAPS = utf8(',"caps":{');

type CapabilityKey = readonly [first: Uint8Array, next: Uint8Array, word: number];

function capabilityKeys(offsets: Record<string, number>): readonly CapabilityKey[] {
  return Object.entries(offsets).map(([name, at]) => [utf8(`"${name}":`), utf8(`,"${name}":`), at >> 2]);
}

const GROUPS_KEY = utf8(',"groups":');
const GROUPS_COUNT = utf8('{"count":');
const GROUP_IDS = utf8(',"ids":[');
const GROUP_IDS_END = utf8("]");
/** By cred_rest_value.no_new_privs. */
const NO_NEW_PRIVS = [utf8(',"no_new_privs":false'), utf8(',"no_new_privs":true')] as const;
const KEYRINGS: readonly (readonly [first: Uint8Array, next: Uint8Array, word: number])[] = [
  keyring("thread", CRED_REST.thread_keyring),
  keyring("process", CRED_REST.process_keyring),
  keyring("session", CRED_REST.session_keyring),
];

function keyring(name: string, offset: number): readonly [Uint8Array, Uint8Array, number] {
  return [utf8(`,"keyrings":{"${name}":`), utf8(`,"${name}":`), offset >> 2];
}

/** A struct cred_value and a struct cred_rest_value as one object. */
export function writeWholeCredentials(out: ByteWriter, words: Uint32Array, cred: number, rest: number): void {
  out.bytes(OPEN);
  writeIds(out, words, cred);
  out.bytes(CAPS);
  const isFirst = writeSets(out, words, cred, CRED_SETS, true);
  writeSets(out, words, rest, REST_SETS, isFirst);
  out.bytes(END);
  writeUserNs(out, words, cred);
  out.bytes(GROUPS_KEY);
  writeGroups(out, words, rest);
  out.bytes(NO_NEW_PRIVS[words[rest + (CRED_REST.no_new_privs >> 2)] === 0 ? 0 : 1]);
  writeKeyrings(out, words, rest);
  out.bytes(END);
}

/** Leaves out empty sets; answers whether the next one would still be the first. */
function writeSets(
  out: ByteWriter,
  words: Uint32Array,
  at: number,
  keys: readonly CapabilityKey[],
  isFirst: boolean,
): boolean {
  let first = isFirst;
  for (const [firstKey, nextKey, word] of keys) {
    const low = words[at + word] as number;
    const high = words[at + word + 1] as number;
    if (low === 0 && high === 0) continue;
    out.bytes(first ? firstKey : nextKey);
    out.bytes(capabilityLists.get(low, high));
    first = false;
  }
  return first;
}

/** The supplementary groups of the struct cred_rest_value at a word index. */
export function writeGroups(out: ByteWriter, words: Uint32Array, rest: number): void {
  const count = words[rest + (CRED_REST.groups_count >> 2)] as number;
  out.bytes(GROUPS_COUNT);
  out.uint32(count);
  if (count > 0) writeGroupIds(out, words, rest + (CRED_REST.groups >> 2), Math.min(count, MAX_GROUPS));
  out.bytes(END);
}

function writeGroupIds(out: ByteWriter, words: Uint32Array, first: number, count: number): void {
  out.bytes(GROUP_IDS);
  for (let i = 0; i < count; i++) {
    if (i > 0) out.bytes(COMMA);
    out.uint32(words[first + i] as number);
  }
  out.bytes(GROUP_IDS_END);
}

/** Leaves out keyrings that the task does not have. */
function writeKeyrings(out: ByteWriter, words: Uint32Array, rest: number): void {
  let isFirst = true;
  for (const [first, next, word] of KEYRINGS) {
    const serial = words[rest + word] as number;
    if (serial === 0) continue;
    out.bytes(isFirst ? first : next);
    out.uint32(serial);
    isFirst = false;
  }
  if (!isFirst) out.bytes(END);
}
