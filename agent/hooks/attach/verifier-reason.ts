/** Classifies why the verifier refused a program. The reason is only in its log; no other file reads that log. */

/** `lacking`: this kernel cannot run such a program at all. `refused`: the program is at fault. */
export type Verdict = "lacking" | "refused";

/**
 * Lines of the log that mean `lacking`: the kernel was built without error injection, or allows none for this function.
 * Since 6.12 it also accepts only some results from an LSM hook, and no program at all at some LSM hooks.
 */
const LACKING: readonly RegExp[] = [
  /^unknown func bpf_\w+/,
  /cannot use helper bpf_\w+/,
  /\(\) is not modifiable/,
  /is not sleepable/,
  /R0 has .* should have been in/,
  /points to disabled hook/,
];

/** Classifies the last line of the verifier's log that is not statistics. */
export function readVerdict(verifierReason: string): Verdict {
  return LACKING.some((line) => line.test(verifierReason)) ? "lacking" : "refused";
}
