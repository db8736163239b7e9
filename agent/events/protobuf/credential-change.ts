/** What a call changes of credentials: the message CredentialChange of trigon.proto. */
import { CRED, CRED_CHANGE, CRED_FIELD_NAMES, CRED_REST, MAX_GROUPS } from "../../records/layout.ts";
import { capabilityChange } from "../json/capability-fragments.ts";
import type { CredentialChangeDetail } from "../json/credential-change.ts";
import { MaskCache } from "../mask-cache.ts";
import {
  CAPS,
  CRED_USER_NS,
  USER_NAMESPACE,
  writeCapabilityList,
  writeIds,
  writeSecurebits,
  writeSets,
  writeUserNamespace,
} from "./credentials.ts";
import { CAPABILITY_CHANGE, encodeFields } from "./messages.ts";
import { bytesKey, type ProtoWriter, varintKey } from "./writer.ts";

/** Writes the fields of a change; `at` is the word index of the struct cred_change_value. */
type FieldWriter = (out: ProtoWriter, words: Uint32Array, at: number) => void;
/** Writes one value as a field; `at` is its word index. */
type ValueWriter = (out: ProtoWriter, key: number, words: Uint32Array, at: number) => void;

const OLD = bytesKey(1);
const NEW = bytesKey(2);
/** Numbers in CredentialChange beyond those of the fields of cred_change_value.changed, which are bit + 1. */
const NUMBERS = { keyrings: 18, old: 19, new: 20, error: 21 } as const;
/** Numbers in Credentials and Capabilities beyond upstream's. */
const ADDED = {
  groups: 20_000,
  noNewPrivs: 20_001,
  keyrings: 20_002,
  bounding: 20_000,
  ambient: 20_001,
} as const;

const capabilityChanges = new MaskCache(4, (masks) =>
  encodeFields(CAPABILITY_CHANGE, capabilityChange(masks)),
);

const id = (member: number) => pair(writeId, ...inCredentials(member));
const set = ([before, after]: [number, number]): FieldWriter => {
  return (out, words, at) => out.bytes(capabilityChanges.pair(words, at + before, at + after));
};

const WRITERS: Record<(typeof CRED_FIELD_NAMES)[number], FieldWriter> = {
  uid: id(CRED.uid),
  gid: id(CRED.gid),
  suid: id(CRED.suid),
  sgid: id(CRED.sgid),
  euid: id(CRED.euid),
  egid: id(CRED.egid),
  fsuid: id(CRED.fsuid),
  fsgid: id(CRED.fsgid),
  cap_permitted: set(inCredentials(CRED.cap_permitted)),
  cap_effective: set(inCredentials(CRED.cap_effective)),
  cap_inheritable: set(inCredentials(CRED.cap_inheritable)),
  cap_bounding: set(inRest(CRED_REST.cap_bounding)),
  cap_ambient: set(inRest(CRED_REST.cap_ambient)),
  securebits: pair(
    (out, key, words, at) => writeSecurebits(out, key, words[at] as number),
    ...inCredentials(CRED.securebits),
  ),
  user_ns: pair(writeUserNamespace, ...inCredentials(CRED.user_ns_level)),
  groups: pair(writeGroups, ...inRest(0)),
  no_new_privs: pair(writeId, ...inRest(CRED_REST.no_new_privs)), // a BoolValue, which is encoded as a UInt32Value is
};
const FIELDS = CRED_FIELD_NAMES.map((name, bit) => ({ key: bytesKey(bit + 1), write: WRITERS[name] }));
const KEYRINGS = ["thread", "process", "session"] as const;
const KEYRING_CHANGES = KEYRINGS.map((name, index) => {
  const [before, after] = inRest(CRED_REST[`${name}_keyring`]);
  return { key: bytesKey(index + 1), before, after };
});

/** A field with the change that the struct cred_change_value at a word index holds. */
export function writeCredentialChange(
  out: ProtoWriter,
  key: number,
  words: Uint32Array,
  at: number,
  detail: CredentialChangeDetail,
): void {
  const start = out.begin(key);
  for (let rest = words[at + (CRED_CHANGE.changed >> 2)] as number; rest !== 0; rest &= rest - 1) {
    const field = FIELDS[31 - Math.clz32(rest & -rest)];
    if (field !== undefined) nested(out, field.key, () => field.write(out, words, at));
  }
  writeKeyringChanges(out, words, at);
  if (detail === "full") {
    writeWhole(
      out,
      bytesKey(NUMBERS.old),
      words,
      at + (CRED_CHANGE.old >> 2),
      at + (CRED_CHANGE.old_rest >> 2),
    );
    writeWhole(
      out,
      bytesKey(NUMBERS.new),
      words,
      at + (CRED_CHANGE.new >> 2),
      at + (CRED_CHANGE.new_rest >> 2),
    );
  }
  out.end(start);
}

/** A field in place of a change whose credentials could not be read. */
export function writeUnreadChange(out: ProtoWriter, key: number, message: Uint8Array): void {
  nested(out, key, () => nested(out, bytesKey(NUMBERS.error), () => out.bytesField(bytesKey(1), message)));
}

function nested(out: ProtoWriter, key: number, write: () => void): void {
  const start = out.begin(key);
  write();
  out.end(start);
}

/** Word offsets of a member of struct cred_value, in the old and in the new credentials. */
function inCredentials(member: number): [before: number, after: number] {
  return [(CRED_CHANGE.old + member) >> 2, (CRED_CHANGE.new + member) >> 2];
}

/** The same for a member of struct cred_rest_value. */
function inRest(member: number): [before: number, after: number] {
  return [(CRED_CHANGE.old_rest + member) >> 2, (CRED_CHANGE.new_rest + member) >> 2];
}

/** Old and new of a value that begins at these word offsets. */
function pair(write: ValueWriter, before: number, after: number): FieldWriter {
  return (out, words, at) => {
    write(out, OLD, words, at + before);
    write(out, NEW, words, at + after);
  };
}

function writeId(out: ProtoWriter, key: number, words: Uint32Array, at: number): void {
  out.wrappedUint32(key, words[at] as number);
}

/** The supplementary groups of the struct cred_rest_value at a word index. */
function writeGroups(out: ProtoWriter, key: number, words: Uint32Array, rest: number): void {
  const count = words[rest + (CRED_REST.groups_count >> 2)] as number;
  const first = rest + (CRED_REST.groups >> 2);
  const start = out.begin(key);
  out.wrappedUint32(bytesKey(1), count);
  if (count > 0) {
    const ids = out.begin(bytesKey(2));
    for (let i = 0; i < Math.min(count, MAX_GROUPS); i++) out.varint(words[first + i] as number);
    out.end(ids);
  }
  out.end(start);
}

/** Keyrings have no bit in `changed`; serial 0 is a keyring that the task does not have. */
function writeKeyringChanges(out: ProtoWriter, words: Uint32Array, at: number): void {
  const changed = KEYRING_CHANGES.filter(({ before, after }) => words[at + before] !== words[at + after]);
  if (changed.length === 0) return;
  nested(out, bytesKey(NUMBERS.keyrings), () => {
    for (const { key, before, after } of changed) {
      nested(out, key, () => {
        if (words[at + before] !== 0) writeId(out, OLD, words, at + before);
        if (words[at + after] !== 0) writeId(out, NEW, words, at + after);
      });
    }
  });
}

/** A field with everything that a struct cred_value and a struct cred_rest_value hold. */
function writeWhole(out: ProtoWriter, key: number, words: Uint32Array, cred: number, rest: number): void {
  const start = out.begin(key);
  writeIds(out, words, cred);
  const caps = out.begin(CAPS);
  writeSets(out, words, cred + (CRED.cap_permitted >> 2));
  writeSet(out, bytesKey(ADDED.bounding), words, rest + (CRED_REST.cap_bounding >> 2));
  writeSet(out, bytesKey(ADDED.ambient), words, rest + (CRED_REST.cap_ambient >> 2));
  out.end(caps);
  writeUserNamespace(out, USER_NAMESPACE, words, cred + CRED_USER_NS);
  writeGroups(out, bytesKey(ADDED.groups), words, rest);
  writeId(out, bytesKey(ADDED.noNewPrivs), words, rest + (CRED_REST.no_new_privs >> 2));
  writeKeyrings(out, words, rest);
  out.end(start);
}

function writeSet(out: ProtoWriter, key: number, words: Uint32Array, at: number): void {
  writeCapabilityList(out, key, words[at] as number, words[at + 1] as number);
}

function writeKeyrings(out: ProtoWriter, words: Uint32Array, rest: number): void {
  const serials = KEYRINGS.map((name) => words[rest + (CRED_REST[`${name}_keyring`] >> 2)] as number);
  if (serials.every((serial) => serial === 0)) return;
  nested(out, bytesKey(ADDED.keyrings), () => {
    for (const [index, serial] of serials.entries()) {
      if (serial === 0) continue;
      out.varint(varintKey(index + 1));
      out.varint(serial);
    }
  });
}
