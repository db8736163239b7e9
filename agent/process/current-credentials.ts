/** Credentials that a process has now, in place of those it had at exec. */

import type { HookEvent } from "../events/encoder.ts";
import { credentialChangeAt } from "../events/json/hook-extras.ts";
import { type RecordBatch, W_SEQ, W_SIZE, W_TID, W_UID } from "../records/decode.ts";
import { decodeCredentials } from "../records/decode-exec.ts";
import { CRED_CHANGE, RECORD_CRED_FAILED } from "../records/layout.ts";
import type { Image, ProcessFacts } from "./image.ts";

/** The one function whose new credentials are those of the task afterwards; others may be refused, or are undone. */
const COMMITS = "commit_creds";

/**
 * Moves images on as records tell of their credentials. Credentials belong to threads: those of the thread group
 * leader stand for the process.
 */
export class CurrentCredentials {
  readonly #keep: boolean;

  /** `keepCredentials`: images show all credentials, not only the uid. */
  constructor(options: { keepCredentials: boolean }) {
    this.#keep = options.keepCredentials;
  }

  /** To be called before an event is written: every record says which effective uid its task has. */
  seen(image: Image, { words }: RecordBatch, at: number): void {
    const uid = words[at + W_UID] as number;
    if (uid === image.facts.uid || !isOfLeader(image, words, at)) return;
    // what else has changed with it is not known
    const { credentials: _, ...facts } = image.facts;
    replaceFacts(image, { ...facts, uid });
  }

  /** To be called after an event is written: what a commit has changed is true from then on. */
  done({ image, batch, at, hook }: HookEvent): void {
    if (hook.def.call !== COMMITS || hook.def.section === "lsmhooks" || hook.json === undefined) return;
    const { words } = batch;
    const end = at + ((words[at + W_SIZE] as number) >>> 2);
    const change = credentialChangeAt(batch, at, end, hook.json);
    if (change === 0 || words[change + (CRED_CHANGE.changed >> 2)] === 0) return;
    if (!isOfLeader(image, words, at)) return;
    const credentials = decodeCredentials(words, change + (CRED_CHANGE.new >> 2));
    const { credentials: _, ...facts } = image.facts;
    replaceFacts(image, { ...facts, uid: credentials.euid, ...(this.#keep && { credentials }) });
  }
}

/** Within an exec, credentials are already the next image's. */
function isOfLeader(image: Image, words: Uint32Array, at: number): boolean {
  if (words[at + W_TID] !== image.pid || words[at + W_SEQ] !== image.seq) return false;
  return (((words[at] as number) >>> 16) & RECORD_CRED_FAILED) === 0;
}

function replaceFacts(image: Image, facts: ProcessFacts): void {
  image.facts = facts;
  image.json = undefined;
}
