/** Credentials and user namespaces of hook records. */
import { CRED, USER_NS } from "../../records/layout.ts";
import { MaskCache } from "../mask-cache.ts";
import { bytesKey, ProtoWriter, varintKey } from "./writer.ts";

/** Its words lie in a struct cred_value in the order of a struct user_ns_value. */
export const CRED_USER_NS = CRED.user_ns_level >> 2;
/** The ids of a struct cred_value by their number in ProcessCredentials. */
const IDS: readonly (readonly [key: number, word: number])[] = [
  [bytesKey(1), CRED.uid >> 2],
  [bytesKey(2), CRED.gid >> 2],
  [bytesKey(3), CRED.euid >> 2],
  [bytesKey(4), CRED.egid >> 2],
  [bytesKey(5), CRED.suid >> 2],
  [bytesKey(6), CRED.sgid >> 2],
  [bytesKey(7), CRED.fsuid >> 2],
  [bytesKey(8), CRED.fsgid >> 2],
];
const SECUREBITS = bytesKey(9);
/** Number of the capability sets in ProcessCredentials. */
export const CAPS = bytesKey(10);
/** Number of the user namespace there. */
export const USER_NAMESPACE = bytesKey(11);

/** A field with the ProcessCredentials that a struct cred_value holds. */
export function writeCredentials(out: ProtoWriter, key: number, words: Uint32Array, at: number): void {
  const start = out.begin(key);
  writeIds(out, words, at);
  out.bytes(capabilities.get(words, at + (CRED.cap_permitted >> 2)));
  writeUserNamespace(out, USER_NAMESPACE, words, at + CRED_USER_NS);
  out.end(start);
}

/** The ids and secure bits of a struct cred_value. */
export function writeIds(out: ProtoWriter, words: Uint32Array, at: number): void {
  for (let i = 0; i < 8; i++) {
    const [idKey, word] = IDS[i] as readonly [number, number];
    out.wrappedUint32(idKey, words[at + word] as number);
  }
  writeSecurebits(out, SECUREBITS, words[at + (CRED.securebits >> 2)] as number);
}

/** A field with a list of secure bits, one value per bit. */
export function writeSecurebits(out: ProtoWriter, key: number, securebits: number): void {
  if (securebits === 0) return;
  const start = out.begin(key);
  for (let bit = 0; bit < 32; bit++) if ((securebits & (1 << bit)) !== 0) out.int32((1 << bit) | 0);
  out.end(start);
}

/** A field with the UserNamespace that a struct user_ns_value holds. Only the initial one is at level 0. */
export function writeUserNamespace(out: ProtoWriter, key: number, words: Uint32Array, at: number): void {
  const level = (words[at + (USER_NS.level >> 2)] as number) | 0;
  const inum = words[at + (USER_NS.inum >> 2)] as number;
  const start = out.begin(key);
  out.wrappedInt32(bytesKey(1), level);
  out.wrappedUint32(bytesKey(2), words[at + (USER_NS.owner >> 2)] as number);
  out.wrappedUint32(bytesKey(3), words[at + (USER_NS.group >> 2)] as number);
  const ns = out.begin(bytesKey(4));
  if (inum !== 0) {
    out.varint(varintKey(1));
    out.varint(inum);
  }
  if (level === 0) {
    out.varint(varintKey(2));
    out.byte(1);
  }
  out.end(ns);
  out.end(start);
}

/** A field with a packed list of the capabilities in a mask, given as two words; no field for an empty set. */
export function writeCapabilityList(out: ProtoWriter, key: number, low: number, high: number): void {
  if (low === 0 && high === 0) return;
  const start = out.begin(key);
  for (let bit = 0; bit < 64; bit++) {
    if (((bit < 32 ? low : high) & (1 << (bit & 31))) !== 0) out.byte(bit);
  }
  out.end(start);
}

/** The field `caps` by its three masks: six words in the order of struct cred_value. */
const capabilities = new MaskCache(6, (masks) => {
  const out = new ProtoWriter();
  const start = out.begin(CAPS);
  writeSets(out, masks, 0);
  out.end(start);
  return out.take();
});

/** The three sets of a struct cred_value as fields of Capabilities. */
export function writeSets(out: ProtoWriter, words: Uint32Array, at: number): void {
  for (let i = 0; i < 3; i++) {
    const mask = at + i * 2;
    writeCapabilityList(out, bytesKey(i + 1), words[mask] as number, words[mask + 1] as number);
  }
}
