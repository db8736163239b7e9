/** Credentials and user namespaces of hook records. */
import { CRED, USER_NS } from "../../records/layout.ts";
import { bytesKey, ProtoWriter, varintKey } from "./writer.ts";

const CRED_USER_NS = CRED.user_ns_level >> 2;
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
const CAPS = bytesKey(10);
const USER_NAMESPACE = bytesKey(11);

/** A field with the ProcessCredentials that a struct cred_value holds. */
export function writeCredentials(out: ProtoWriter, key: number, words: Uint32Array, at: number): void {
  const start = out.begin(key);
  for (let i = 0; i < 8; i++) {
    const [idKey, word] = IDS[i] as readonly [number, number];
    out.wrappedUint32(idKey, words[at + word] as number);
  }
  writeSecurebits(out, words[at + (CRED.securebits >> 2)] as number);
  out.bytes(capabilities.get(words, at + (CRED.cap_permitted >> 2)));
  writeUserNamespace(out, USER_NAMESPACE, words, at + CRED_USER_NS);
  out.end(start);
}

/** One value per bit. */
function writeSecurebits(out: ProtoWriter, securebits: number): void {
  if (securebits === 0) return;
  const start = out.begin(SECUREBITS);
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
function writeCapabilityList(out: ProtoWriter, key: number, low: number, high: number): void {
  if (low === 0 && high === 0) return;
  const start = out.begin(key);
  for (let bit = 0; bit < 64; bit++) {
    if (((bit < 32 ? low : high) & (1 << (bit & 31))) !== 0) out.byte(bit);
  }
  out.end(start);
}

const SLOTS = 256;

interface Slot {
  masks: Uint32Array;
  fragment: Uint8Array;
}

/** A direct-mapped cache of the field `caps` by its three masks: a node sees a few dozen different ones. */
class CapabilityFields {
  readonly #slots: (Slot | undefined)[] = new Array<Slot | undefined>(SLOTS).fill(undefined);
  readonly #out = new ProtoWriter();

  /** Six words from `at` on: the masks in the order of struct cred_value. */
  get(words: Uint32Array, at: number): Uint8Array {
    let hash = 0;
    for (let i = 0; i < 6; i++) hash = Math.imul(hash ^ (words[at + i] as number), 0x9e37_79b1);
    const index = (hash >>> 16) & (SLOTS - 1);
    const slot = this.#slots[index];
    if (slot !== undefined && isEqual(slot.masks, words, at)) return slot.fragment;
    const masks = words.slice(at, at + 6);
    const fragment = this.#make(masks);
    this.#slots[index] = { masks, fragment };
    return fragment;
  }

  #make(masks: Uint32Array): Uint8Array {
    const out = this.#out;
    const start = out.begin(CAPS);
    for (let i = 0; i < 3; i++) {
      writeCapabilityList(out, bytesKey(i + 1), masks[i * 2] as number, masks[i * 2 + 1] as number);
    }
    out.end(start);
    return out.take();
  }
}

function isEqual(masks: Uint32Array, words: Uint32Array, at: number): boolean {
  for (let i = 0; i < 6; i++) if (masks[i] !== words[at + i]) return false;
  return true;
}

const capabilities = new CapabilityFields();
