/** `trigon validate`: the operator's compiler, offline. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { HookSpec } from "../crds/hook-spec.ts";
import { policyKey } from "../crds/names.ts";
import { compileParsed } from "../policy/compile.ts";
import { type OtherDocuments, type ParsedPolicy, parsePolicies } from "../policy/parse.ts";
import type { PolicyError } from "../policy/problems.ts";
import { type Finding, type Format, formatFindings, type Tally } from "./findings.ts";
import type { Kernel, MissingHook } from "./kernels/kernel.ts";
import { EXIT, type Streams } from "./streams.ts";

/** The flags. */
export interface ValidateOptions {
  /** Reads hidden directories too, and takes documents that are no policies for errors. */
  strict: boolean;
  output: Format;
  /** Reports hooks that this kernel lacks, one of KERNEL_CHOICES; else those that some of them lack, as warnings. */
  kernel?: string;
}

/** Says which files belong together, and lies beside them. */
const KUSTOMIZATION = /^kustomization\.ya?ml$/;

/** Checks every file and directory; returns the exit status. */
export async function validate(
  paths: readonly string[],
  { strict, output, kernel }: ValidateOptions,
  streams: Streams,
): Promise<number> {
  const texts = await readAll(paths, strict, streams);
  if (!texts) return EXIT.usage;
  const findings: Finding[] = [];
  const tally = checkAll(texts, findings, await findKernel(kernel));
  for (const line of formatFindings(output, findings, tally)) streams.out(line);
  streams.err(summary(tally));
  return tally.invalid > 0 ? EXIT.failed : EXIT.ok;
}

interface PolicyText {
  file: string;
  /** Or why it cannot be read. */
  text: string | Uint8Array | Error;
  others: OtherDocuments;
}

/** The recorded names are large, and no other command needs them. */
async function findKernel(name: string | undefined): Promise<Kernel> {
  const { RecordedKernel, ANY_KERNEL } = await import("./kernels/kernel.ts");
  return name === undefined ? ANY_KERNEL : new RecordedKernel(name);
}

function checkAll(texts: readonly PolicyText[], findings: Finding[], kernel: Kernel): Tally {
  const tally: Tally = { files: texts.length, valid: 0, invalid: 0, skipped: 0, warnings: 0 };
  const names = new Map<string, string>();
  for (const text of texts) checkText(text, { names, tally, findings, kernel });
  return tally;
}

function summary(tally: Tally): string {
  const counts = [
    `${tally.valid} valid`,
    `${tally.invalid} invalid`,
    count(tally.warnings, "warning"),
    ...(tally.skipped > 0 ? [`${count(tally.skipped, "other document")} skipped`] : []),
  ];
  return `${count(tally.files, "file")}: ${counts.join(", ")}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function checkText(
  { file, text, others }: PolicyText,
  {
    names,
    tally,
    findings,
    kernel,
  }: { names: Map<string, string>; tally: Tally; findings: Finding[]; kernel: Kernel },
): void {
  const add = (level: Finding["level"], problems: readonly PolicyError[]) => {
    for (const { path, message, line = 1, column = 1 } of problems)
      findings.push({ file, line, column, level, path, message });
  };
  if (text instanceof Error) {
    add("error", [{ path: "", message: `cannot be read: ${text.message}` }]);
    tally.invalid++;
    return;
  }
  const { policies, errors, invalid, skipped } = parsePolicies(text, file, others);
  tally.skipped += skipped;
  add("error", errors);
  tally.invalid += invalid;
  for (const policy of policies) {
    const result = compileParsed(policy);
    const absent = result.ok ? kernel.missing(result.spec) : [];
    const remarks = (wanted: MissingHook["level"]) =>
      result.warnings.filter((warning) => kernel.levelOf(warning) === wanted);
    const of = (wanted: MissingHook["level"]) =>
      absent
        .filter(({ level }) => level === wanted)
        .map(({ path, message }) => policy.place({ path, message }));
    const errors = [...(result.ok ? of("error") : result.errors), ...remarks("error")];
    const warnings = [
      ...remarks("warning"),
      ...(result.ok ? nameTwice(policy, result.spec, names) : []),
      ...of("warning"),
    ];
    add("error", errors);
    add("warning", warnings);
    tally.warnings += warnings.length;
    tally[errors.length === 0 ? "valid" : "invalid"]++;
  }
}

function nameTwice(
  { fileName, place }: ParsedPolicy,
  { policy }: HookSpec,
  names: Map<string, string>,
): PolicyError[] {
  const key = policyKey(policy);
  const earlier = names.get(key);
  if (earlier === undefined) {
    names.set(key, fileName);
    return [];
  }
  const message = `${earlier} has a policy of this name too: the one that is applied later replaces the other`;
  return [place({ path: "metadata.name", message })];
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
  for (const file of await findFiles(path, strict))
    texts.push({ file, text: await readFile(file).catch((error: Error) => error), others });
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

/**
 * A file that several links lead to is read once. What is no file, such as a link to a directory, is left out; a link
 * that leads nowhere stays, to be reported.
 */
async function withoutTwins(paths: readonly string[]): Promise<string[]> {
  const byFile = new Map<string, string>();
  for (const path of paths) {
    const isFile = await stat(path).then(
      (found) => found.isFile(),
      () => true,
    );
    if (isFile) byFile.set(await realpath(path).catch(() => path), path);
  }
  return [...byFile.values()];
}
