/** Credentials that a process has now, in place of those it had at exec. */

import type { HookDef } from "../../crds/hook-spec.ts";
import { type RecordBatch, W_SEQ, W_TID, W_UID } from "../records/decode.ts";
import { decodeCredentials } from "../records/decode-exec.ts";
import { credentialChangeAt, recordFlags } from "../records/hook-record.ts";
import { CRED_CHANGE, RECORD_CRED_FAILED } from "../records/layout.ts";
import type { Image } from "./image.ts";

/** The one function whose new credentials are those of the task afterwards; others may be refused, or are undone. */
const COMMITS = "commit_creds";

/** The hook of a record, as far as it matters here. */
export interface CredentialHook {
  readonly def: Pick<HookDef, "call" | "section">;
  /** How many slots of its records are arguments. */
  readonly argCount: number;
}

/**
 * Keeps the credentials of images current. Credentials belong to threads: those of the thread group leader stand for the
 * process.
 */
export class CurrentCredentials {
  readonly #keep: boolean;

  /** `keepCredentials`: images show all credentials, not only the uid. */
  constructor(options: { keepCredentials: boolean }) {
    this.#keep = options.keepCredentials;
  }

  /** To be called before an event is written: every record has the effective uid of its task. */
  seen(image: Image, { words }: RecordBatch, at: number): void {
    const uid = words[at + W_UID] as number;
    if (uid === image.facts.uid || !isOfLeader(image, words, at)) return;
    // what else has changed with it is not known
    const { credentials: _, ...facts } = image.facts;
    image.changeFacts({ ...facts, uid });
  }

  /** To be called after an event is written: what a commit has changed is true from then on. */
  done(image: Image, batch: RecordBatch, at: number, { def, argCount }: CredentialHook): void {
    if (def.call !== COMMITS || def.section === "lsmhooks") return;
    const { words } = batch;
    const change = credentialChangeAt(batch, at, argCount);
    if (change === 0 || words[change + (CRED_CHANGE.changed >> 2)] === 0) return;
    if (!isOfLeader(image, words, at)) return;
    const credentials = decodeCredentials(words, change + (CRED_CHANGE.new >> 2));
    const { credentials: _, ...facts } = image.facts;
    image.changeFacts({ ...facts, uid: credentials.euid, ...(this.#keep && { credentials }) });
  }
}

/** Within an exec, credentials are already the next image's. */
function isOfLeader(image: Image, words: Uint32Array, at: number): boolean {
  if (words[at + W_TID] !== image.pid || words[at + W_SEQ] !== image.seq) return false;
  return (recordFlags(words, at) & RECORD_CRED_FAILED) === 0;
}
