/** `trigon validate`: the operator's compiler, offline. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { policyKey } from "../crds/names.ts";
import { compileParsed } from "../policy/compile.ts";
import { parsePolicies } from "../policy/parse.ts";
import type { PolicyError } from "../policy/problems.ts";

/** Where a command writes to and reads from. */
export interface Streams {
  /** One line of the answer. */
  out(line: string): void;
  /** One line about the command itself. */
  err(line: string): void;
  /** All of the standard input. */
  stdin(): Promise<string | Uint8Array>;
}

/** Exit status: everything is valid, something is not, the command was not understood or a file not read. */
const STATUS = { valid: 0, invalid: 1, usage: 2 } as const;

const HELP = `Usage: trigon validate FILE|DIRECTORY|- ...

Checks policies as the cluster would: schema, then meaning. Reads files, all *.yaml, *.yml and *.json files below
directories other than kustomization.yaml, and standard input (-); of a List, as \`kubectl get -o yaml\` prints it, each
item. Prints each problem as

  FILE:LINE:COLUMN: FIELD: what is wrong and what would be right

and warnings likewise, marked as such. Functions are not looked up: whether a kernel has them is for its node to say.

Exit status: 0 all policies are valid, 1 some are not, 2 usage error or unreadable file.`;

/** Says which files belong together, and lies beside them. */
const KUSTOMIZATION = /^kustomization\.ya?ml$/;

/** Checks every file and directory that the arguments name; returns the exit status. */
export async function validate(args: readonly string[], streams: Streams): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    streams.out(HELP);
    return STATUS.valid;
  }
  const option = args.find((arg) => arg.startsWith("-") && arg !== "-");
  if (option !== undefined || args.length === 0) {
    streams.err(
      `trigon validate: ${option === undefined ? "no file given" : `unknown option ${option}`}\n\n${HELP}`,
    );
    return STATUS.usage;
  }
  const texts = await readAll(args, streams);
  if (!texts) return STATUS.usage;
  return report(texts, streams);
}

interface PolicyText {
  file: string;
  text: string | Uint8Array;
}

interface Tally {
  valid: number;
  invalid: number;
  warnings: number;
}

function report(texts: PolicyText[], { out, err }: Streams): number {
  const tally: Tally = { valid: 0, invalid: 0, warnings: 0 };
  const names = new Map<string, string>();
  for (const { file, text } of texts) validateText(file, text, names, tally, out);
  const files = texts.length === 1 ? "1 file" : `${texts.length} files`;
  const warnings = tally.warnings === 1 ? "1 warning" : `${tally.warnings} warnings`;
  err(`${files}: ${tally.valid} valid, ${tally.invalid} invalid, ${warnings}`);
  return tally.invalid > 0 ? STATUS.invalid : STATUS.valid;
}

function validateText(
  file: string,
  text: string | Uint8Array,
  names: Map<string, string>,
  tally: Tally,
  out: (line: string) => void,
): void {
  const { policies, errors, invalid } = parsePolicies(text, file);
  for (const error of errors) out(format(file, error));
  tally.invalid += invalid;
  for (const policy of policies) {
    const result = compileParsed(policy);
    const warnings = [...result.warnings];
    if (result.ok) {
      const key = policyKey(result.spec.policy);
      const earlier = names.get(key);
      if (earlier !== undefined) {
        const message = `${earlier} has a policy of this name too: the one that is applied later replaces the other`;
        warnings.push(policy.place({ path: "metadata.name", message }));
      } else names.set(key, file);
    }
    for (const error of result.ok ? [] : result.errors) out(format(file, error));
    for (const { message, ...where } of warnings)
      out(format(file, { ...where, message: `warning: ${message}` }));
    tally.warnings += warnings.length;
    tally[result.ok ? "valid" : "invalid"]++;
  }
}

function format(file: string, { path, message, line, column }: PolicyError): string {
  return `${file}:${line ?? 1}:${column ?? 1}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** The text of every file; undefined, and a line about each, when one cannot be read. */
async function readAll(args: readonly string[], streams: Streams): Promise<PolicyText[] | undefined> {
  const texts: PolicyText[] = [];
  let failed = false;
  for (const arg of args) {
    try {
      if (arg === "-") texts.push({ file: "stdin", text: await streams.stdin() });
      else for (const file of await findFiles(arg)) texts.push({ file, text: await readFile(file) });
    } catch (error) {
      streams.err(`trigon validate: ${(error as Error).message}`);
      failed = true;
    }
  }
  return failed ? undefined : texts;
}

async function findFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const named = entries.filter(
    (entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !KUSTOMIZATION.test(entry.name),
  );
  if (named.length === 0) throw new Error(`no *.yaml, *.yml or *.json file below ${path}`);
  return withoutTwins(named.map((entry) => join(entry.parentPath, entry.name)).sort());
}

/** A ConfigMap that is mounted shows each file twice: in a hidden directory, and as a link to that. */
async function withoutTwins(paths: readonly string[]): Promise<string[]> {
  const byFile = new Map<string, string>();
  for (const path of paths) byFile.set(await realpath(path), path);
  return [...byFile.values()];
}
