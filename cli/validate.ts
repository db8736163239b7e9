/** `trigon validate`: the operator's compiler, offline. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { policyKey } from "../crds/names.ts";
import { compileParsed } from "../policy/compile.ts";
import { type OtherDocuments, parsePolicies } from "../policy/parse.ts";
import type { PolicyError } from "../policy/problems.ts";
import type { Streams } from "./streams.ts";

/** Exit status: everything is valid, something is not, the command was not understood or a file not read. */
const STATUS = { valid: 0, invalid: 1, usage: 2 } as const;

const HELP = `Usage: trigon validate [--strict] FILE|DIRECTORY|- ...

Checks policies as the cluster would: schema, then meaning. Reads files, all *.yaml, *.yml and *.json files below
directories, and standard input (-). Each item of a List, as \`kubectl get -o yaml\` prints it, is checked.
Below directories it leaves out hidden directories, kustomization.yaml and documents that are no policies; the last line
counts these documents.

  --strict    read hidden directories too, and take documents that are no policies for errors

Prints each problem as

  FILE:LINE:COLUMN: FIELD: what is wrong and what would be right

and warnings likewise, marked as such. Prototypes of functions around credentials are known for some kernels and compared;
whether a node has a function is for that node to decide.

Exit status: 0 all policies are valid, 1 some are not, 2 usage error or unreadable file.`;

/** Says which files belong together, and lies beside them. */
const KUSTOMIZATION = /^kustomization\.ya?ml$/;

/** Checks every file and directory that the arguments name; returns the exit status. */
export async function validate(args: readonly string[], streams: Streams): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    streams.out(HELP);
    return STATUS.valid;
  }
  const strict = args.includes("--strict");
  const paths = args.filter((arg) => arg !== "--strict");
  const option = paths.find((arg) => arg.startsWith("-") && arg !== "-");
  if (option !== undefined || paths.length === 0) {
    streams.err(
      `trigon validate: ${option === undefined ? "no file given" : `unknown option ${option}`}\n\n${HELP}`,
    );
    return STATUS.usage;
  }
  const texts = await readAll(paths, strict, streams);
  if (!texts) return STATUS.usage;
  return report(texts, streams);
}

interface PolicyText {
  file: string;
  text: string | Uint8Array;
  others: OtherDocuments;
}

interface Tally {
  valid: number;
  invalid: number;
  skipped: number;
  warnings: number;
}

function report(texts: PolicyText[], { out, err }: Streams): number {
  const tally: Tally = { valid: 0, invalid: 0, skipped: 0, warnings: 0 };
  const names = new Map<string, string>();
  for (const text of texts) validateText(text, names, tally, out);
  const counts = [
    `${tally.valid} valid`,
    `${tally.invalid} invalid`,
    count(tally.warnings, "warning"),
    ...(tally.skipped > 0 ? [`${count(tally.skipped, "other document")} skipped`] : []),
  ];
  err(`${count(texts.length, "file")}: ${counts.join(", ")}`);
  return tally.invalid > 0 ? STATUS.invalid : STATUS.valid;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function validateText(
  { file, text, others }: PolicyText,
  names: Map<string, string>,
  tally: Tally,
  out: (line: string) => void,
): void {
  const { policies, errors, invalid, skipped } = parsePolicies(text, file, others);
  tally.skipped += skipped;
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
async function readAll(
  paths: readonly string[],
  strict: boolean,
  streams: Streams,
): Promise<PolicyText[] | undefined> {
  const texts: PolicyText[] = [];
  let failed = false;
  for (const path of paths) {
    try {
      texts.push(...(await readPath(path, strict, streams)));
    } catch (error) {
      streams.err(`trigon validate: ${(error as Error).message}`);
      failed = true;
    }
  }
  return failed ? undefined : texts;
}

async function readPath(path: string, strict: boolean, streams: Streams): Promise<PolicyText[]> {
  if (path === "-") return [{ file: "stdin", text: await streams.stdin(), others: "refuse" }];
  if (!(await stat(path)).isDirectory())
    return [{ file: path, text: await readFile(path), others: "refuse" }];
  const others = strict ? "refuse" : "skip";
  const texts: PolicyText[] = [];
  for (const file of await findFiles(path, strict)) texts.push({ file, text: await readFile(file), others });
  return texts;
}

async function findFiles(path: string, strict: boolean): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const named = entries.filter(
    (entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !KUSTOMIZATION.test(entry.name),
  );
  const paths = named.map((entry) => join(entry.parentPath, entry.name));
  const shown = strict ? paths : paths.filter((file) => !isHidden(relative(path, file)));
  if (shown.length === 0) throw new Error(`no *.yaml, *.yml or *.json file below ${path}`);
  return withoutTwins(shown.sort());
}

/** Whether it lies in a hidden directory, such as .github or .git. */
function isHidden(path: string): boolean {
  return path
    .split(sep)
    .slice(0, -1)
    .some((name) => name.startsWith("."));
}

/** A file that several links lead to is read once. */
async function withoutTwins(paths: readonly string[]): Promise<string[]> {
  const byFile = new Map<string, string>();
  for (const path of paths) byFile.set(await realpath(path), path);
  return [...byFile.values()];
}
