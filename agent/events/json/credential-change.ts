/** What a call changes of credentials: each field that changed, with old and new. */

import type { RecordBatch } from "../../records/decode.ts";
import { CRED, CRED_CHANGE, CRED_FIELD_NAMES, CRED_REST } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { securebitList } from "./capabilities.ts";
import { capabilityChanges } from "./capability-fragments.ts";
import { writeGroups, writeUserNamespaceFields, writeWholeCredentials } from "./credentials.ts";

/** Whether events have the fields that changed alone, or the whole old and new credentials as well. */
export type CredentialChangeDetail = "changed" | "full";

/** A field's name as a key, first in its object and after another one. */
interface Key {
  first: Uint8Array;
  next: Uint8Array;
}

/** Writes the value of a field that changed; `at` is the word index of the struct cred_change_value. */
type FieldWriter = (out: ByteWriter, words: Uint32Array, at: number) => void;

const OPEN = utf8(',"credential_change":{');
const OLD = utf8('{"old":');
const ONLY_NEW = utf8('{"new":');
const NEW = utf8(',"new":');
const END = utf8("}");

const WRITERS: Record<(typeof CRED_FIELD_NAMES)[number], FieldWriter> = {
  uid: id(CRED.uid),
  gid: id(CRED.gid),
  suid: id(CRED.suid),
  sgid: id(CRED.sgid),
  euid: id(CRED.euid),
  egid: id(CRED.egid),
  fsuid: id(CRED.fsuid),
  fsgid: id(CRED.fsgid),
  cap_permitted: capabilities(...inCredentials(CRED.cap_permitted)),
  cap_effective: capabilities(...inCredentials(CRED.cap_effective)),
  cap_inheritable: capabilities(...inCredentials(CRED.cap_inheritable)),
  cap_bounding: capabilities(...inRest(CRED_REST.cap_bounding)),
  cap_ambient: capabilities(...inRest(CRED_REST.cap_ambient)),
  securebits: writeSecurebits,
  user_ns: pair(writeUserNamespaceFields, ...inCredentials(CRED.user_ns_level)),
  groups: pair(writeGroups, ...inRest(0)),
  no_new_privs: pair(writeFlag, ...inRest(CRED_REST.no_new_privs)),
};

/** By bit of cred_change_value.changed. */
const FIELDS = CRED_FIELD_NAMES.map((name) => ({ key: key(name), write: WRITERS[name] }));

const KEYRINGS = key("keyrings");
const KEYRING_FIELDS = (["thread", "process", "session"] as const).map((name) => {
  const [before, after] = inRest(CRED_REST[`${name}_keyring`]);
  return { key: key(name), before, after };
});

const WHOLE_OLD = key("old");
const WHOLE_NEW = key("new");

function key(name: string): Key {
  return { first: utf8(`"${name}":`), next: utf8(`,"${name}":`) };
}

/** Word offsets of a member of struct cred_value, in the old and in the new credentials. */
function inCredentials(member: number): [before: number, after: number] {
  return [(CRED_CHANGE.old + member) >> 2, (CRED_CHANGE.new + member) >> 2];
}

/** The same for a member of struct cred_rest_value. */
function inRest(member: number): [before: number, after: number] {
  return [(CRED_CHANGE.old_rest + member) >> 2, (CRED_CHANGE.new_rest + member) >> 2];
}

/** The struct cred_change_value at a word index: `,"credential_change":{...}`. */
export function writeCredentialChange(
  out: ByteWriter,
  { words }: RecordBatch,
  at: number,
  detail: CredentialChangeDetail,
): void {
  out.bytes(OPEN);
  let isFirst = writeFields(out, words, at);
  isFirst = writeKeyrings(out, words, at, isFirst);
  if (detail === "full") writeWhole(out, words, at, isFirst);
  out.bytes(END);
}

/** Returns whether the next field is the first one. */
function writeFields(out: ByteWriter, words: Uint32Array, at: number): boolean {
  let isFirst = true;
  let rest = words[at + (CRED_CHANGE.changed >> 2)] as number;
  while (rest !== 0) {
    const bit = 31 - Math.clz32(rest & -rest);
    rest &= rest - 1;
    const field = FIELDS[bit];
    if (field === undefined) continue;
    out.bytes(isFirst ? field.key.first : field.key.next);
    field.write(out, words, at);
    isFirst = false;
  }
  return isFirst;
}

/** Keyrings have no bit in `changed`; serial 0 is a keyring that the task does not have. */
function writeKeyrings(out: ByteWriter, words: Uint32Array, at: number, isFirst: boolean): boolean {
  let isFirstKeyring = true;
  for (const { key, before, after } of KEYRING_FIELDS) {
    const old = words[at + before] as number;
    const next = words[at + after] as number;
    if (old === next) continue;
    if (isFirstKeyring) {
      out.bytes(isFirst ? KEYRINGS.first : KEYRINGS.next);
      out.byte(0x7b);
    }
    out.bytes(isFirstKeyring ? key.first : key.next);
    writeSerials(out, old, next);
    isFirstKeyring = false;
  }
  if (!isFirstKeyring) out.bytes(END);
  return isFirst && isFirstKeyring;
}

function writeSerials(out: ByteWriter, old: number, next: number): void {
  if (old !== 0) {
    out.bytes(OLD);
    out.uint32(old);
  }
  if (next !== 0) {
    out.bytes(old === 0 ? ONLY_NEW : NEW);
    out.uint32(next);
  }
  out.bytes(END);
}

function writeWhole(out: ByteWriter, words: Uint32Array, at: number, isFirst: boolean): void {
  out.bytes(isFirst ? WHOLE_OLD.first : WHOLE_OLD.next);
  writeWholeCredentials(out, words, at + (CRED_CHANGE.old >> 2), at + (CRED_CHANGE.old_rest >> 2));
  out.bytes(WHOLE_NEW.next);
  writeWholeCredentials(out, words, at + (CRED_CHANGE.new >> 2), at + (CRED_CHANGE.new_rest >> 2));
}

/** `{"old":...,"new":...}` of a value that begins at these word offsets. */
function pair(write: FieldWriter, before: number, after: number): FieldWriter {
  return (out, words, at) => {
    out.bytes(OLD);
    write(out, words, at + before);
    out.bytes(NEW);
    write(out, words, at + after);
    out.bytes(END);
  };
}

function id(member: number): FieldWriter {
  return pair((out, words, at) => out.uint32(words[at] as number), ...inCredentials(member));
}

const TRUE = utf8("true");
const FALSE = utf8("false");

function writeFlag(out: ByteWriter, words: Uint32Array, at: number): void {
  out.bytes(words[at] === 0 ? FALSE : TRUE);
}

function capabilities(before: number, after: number): FieldWriter {
  return (out, words, at) => out.bytes(capabilityChanges.pair(words, at + before, at + after));
}

/** An empty list is left out: lists have no other way to be absent in protobuf. */
function writeSecurebits(out: ByteWriter, words: Uint32Array, at: number): void {
  const [before, after] = inCredentials(CRED.securebits);
  const lists = {
    old: securebitList(words[at + before] as number),
    new: securebitList(words[at + after] as number),
  };
  out.bytes(
    utf8(JSON.stringify(Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)))),
  );
}
