/** Policies from files, read once at start. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { policyKey } from "../../../crds/names.ts";
import type { Logger } from "../../../lib/logger.ts";
import { errorText } from "../../../lib/logger.ts";
import { compileParsed } from "../../../policy/compile.ts";
import { type ParsedPolicy, parsePolicies } from "../../../policy/parse.ts";
import type { PolicyError } from "../../../policy/problems.ts";
import type { DesiredPolicy, SpecSource, WantedPolicy } from "./source.ts";

/** Thrown when a file cannot be used; each line is `FILE:LINE:COLUMN: PATH: what is wrong`. */
export class PolicyFileError extends Error {
  override readonly name = "PolicyFileError";
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join("\n"));
    this.lines = lines;
  }
}

/** Where to look. */
export interface PolicyFiles {
  files: readonly string[];
  /** Every policy file in it, in the order of their names. */
  dir?: string;
}

/** Reads and compiles everything; rejects with PolicyFileError that names all that is wrong, not only the first. */
export async function readPolicyFiles(where: PolicyFiles, logger: Logger): Promise<SpecSource> {
  const lines: string[] = [];
  const policies = new Map<string, WantedPolicy>();
  for (const file of [...where.files, ...(await listDirectory(where.dir, logger))]) {
    const { wanted, errors, warnings } = await readPolicyFile(file);
    lines.push(...errors);
    for (const warning of warnings) logger.warn(warning);
    for (const policy of wanted) addPolicy(policies, policy, lines);
  }
  if (lines.length > 0) throw new PolicyFileError(lines);
  return fixedSource(policies);
}

interface FileContent {
  wanted: WantedPolicy[];
  errors: string[];
  warnings: string[];
}

async function readPolicyFile(file: string): Promise<FileContent> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return { wanted: [], errors: [`${file}: ${errorText(error)}`], warnings: [] };
  }
  const parsed = parsePolicies(bytes, file);
  const content: FileContent = {
    wanted: [],
    errors: parsed.errors.map((error) => place(file, error)),
    warnings: [],
  };
  for (const policy of parsed.policies) compileInto(content, policy);
  return content;
}

function compileInto(content: FileContent, parsed: ParsedPolicy): void {
  const { fileName } = parsed;
  const result = compileParsed(parsed);
  if (!result.ok) {
    content.errors.push(...result.errors.map((error) => place(fileName, error)));
    return;
  }
  const { spec, hash, warnings } = result;
  content.warnings.push(...warnings.map((warning) => place(fileName, warning)));
  content.wanted.push({ ref: spec.policy, hash, spec, origin: `file ${fileName}` });
}

function addPolicy(policies: Map<string, WantedPolicy>, policy: WantedPolicy, lines: string[]): void {
  const key = policyKey(policy.ref);
  const first = policies.get(key);
  if (first) lines.push(`${policy.origin}: ${key} is already given by ${first.origin}`);
  else policies.set(key, policy);
}

async function listDirectory(dir: string | undefined, logger: Logger): Promise<string[]> {
  if (dir === undefined) return [];
  try {
    const names = (await readdir(dir)).filter((name) => /\.(ya?ml|json)$/.test(name));
    const paths = names.sort().map((name) => join(dir, name));
    const isRead = await Promise.all(paths.map((path) => canBeRead(path, logger)));
    return paths.filter((_, index) => isRead[index]);
  } catch (error) {
    throw new PolicyFileError([`${dir}: ${errorText(error)}`]);
  }
}

/**
 * False for a pipe, which would keep the agent waiting, and for a directory. A link to nothing is left out with a
 * warning: the other policies of the directory still run.
 */
async function canBeRead(path: string, logger: Logger): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    logger.warn(`${path}: ${errorText(error)}: the file is left out`);
    return false;
  }
}

function place(file: string, { path, message, line, column }: PolicyError): string {
  const at = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return path === "" ? `${at}: ${message}` : `${at}: ${path}: ${message}`;
}

/** Files are read at start only: the set never changes. */
function fixedSource(policies: ReadonlyMap<string, DesiredPolicy>): SpecSource {
  return { name: "files", desired: () => policies, onChange: () => {}, close: () => {} };
}
