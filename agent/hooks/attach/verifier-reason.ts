/** Reads why the verifier refused a program. The kernel says it in its log alone, so this is the one place that reads it. */

/** `lacking`: this kernel cannot run such a program at all. `refused`: the program is at fault. */
export type Verdict = "lacking" | "refused";

/**
 * The kernel was built without error injection, or not for this function. Since 6.12 it also takes only some results
 * from an LSM hook, and no program at some LSM hooks.
 */
const LACKING: readonly RegExp[] = [
  /^unknown func bpf_\w+/,
  /cannot use helper bpf_\w+/,
  /\(\) is not modifiable/,
  /is not sleepable/,
  /R0 has .* should have been in/,
  /points to disabled hook/,
];

/** Parses the last line of the verifier's log that is not statistics. */
export function readVerdict(verifierReason: string): Verdict {
  return LACKING.some((line) => line.test(verifierReason)) ? "lacking" : "refused";
}
