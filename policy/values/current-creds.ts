/** What the fields of current credentials can be. */
import type { CurrentCredField } from "../../crds/hook-spec.ts";

const UNSET = 4294967295n;
const ID = { most: UNSET, words: { root: 0n } };

/** Largest value of each field, and the words that stand for values; securebits have theirs beside. */
export const CURRENT_CRED_FIELDS: Record<
  CurrentCredField,
  { most: bigint; words: Readonly<Record<string, bigint>> }
> = {
  uid: ID,
  euid: ID,
  suid: ID,
  fsuid: ID,
  gid: ID,
  egid: ID,
  sgid: ID,
  fsgid: ID,
  auid: { most: UNSET, words: { root: 0n, unset: UNSET } },
  securebits: { most: UNSET, words: {} },
  noNewPrivs: { most: 1n, words: {} },
  userNamespaceLevel: { most: 32n, words: {} },
};
