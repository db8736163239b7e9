/** Policies from files, and from a directory whose changes are edits. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { policyKey } from "../../../crds/names.ts";
import { errorText, type Logger } from "../../../lib/logger.ts";
import type { PolicyFile } from "./compile-file.ts";
import { loadCompiler } from "./load-compiler.ts";
import { keepBroken, readPolicyFile } from "./policy-file.ts";
import type { DesiredPolicy, SpecSource } from "./source.ts";
import { DirectoryWatch } from "./watch-path.ts";

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
  /** Read once. */
  files: readonly string[];
  /** Every policy file in it, in the order of their names; watched. */
  dir?: string;
}

/**
 * Reads and compiles everything. Rejects with PolicyFileError, which names all that is wrong and not only the first
 * error, if a file that was named cannot be used. A file of the directory that cannot be used is reported.
 */
export async function readPolicyFiles(where: PolicyFiles, logger: Logger): Promise<FileSource> {
  const source = new FileSource(await readNamedFiles(where.files, logger), where.dir, logger);
  await source.start();
  return source;
}

async function readNamedFiles(
  paths: readonly string[],
  logger: Logger,
): Promise<ReadonlyMap<string, DesiredPolicy>> {
  const lines: string[] = [];
  const policies = new Map<string, DesiredPolicy>();
  for (const path of paths) {
    const { errors, warnings, policies: found } = await readPolicyFile(path);
    lines.push(...errors);
    for (const warning of warnings) logger.warn(warning);
    for (const policy of found) addPolicy(policies, policy, lines);
  }
  if (lines.length > 0) throw new PolicyFileError(lines);
  return policies;
}

/** The named files' policies, which never change, and those of the directory. */
export class FileSource implements SpecSource {
  readonly name = "files";
  readonly #named: ReadonlyMap<string, DesiredPolicy>;
  readonly #directory: string | undefined;
  readonly #logger: Logger;
  #policies: ReadonlyMap<string, DesiredPolicy>;
  #files = new Map<string, PolicyFile>();
  /** Lines that have been logged and still hold. */
  #reported = new Set<string>();
  #watch: DirectoryWatch | undefined;
  #reading: Promise<void> = Promise.resolve();
  #listener: () => void = () => {};
  #prepare: () => void = () => {};

  constructor(named: ReadonlyMap<string, DesiredPolicy>, directory: string | undefined, logger: Logger) {
    this.#named = named;
    this.#directory = directory;
    this.#logger = logger;
    this.#policies = named;
  }

  /** Watches first, so that no change is missed. Rejects when the directory cannot be read. */
  async start(): Promise<void> {
    const directory = this.#directory;
    if (directory === undefined) return;
    this.#watch = new DirectoryWatch(directory, {
      onFirst: () => this.#announce(),
      onChange: () => this.refresh(),
      onError: (error) => this.#logger.error(`watch ${directory}: ${errorText(error)}`),
    });
    try {
      await this.#read(directory);
    } catch (error) {
      this.#watch.close();
      throw new PolicyFileError([`${directory}: ${errorText(error)}`]);
    }
  }

  desired(): ReadonlyMap<string, DesiredPolicy> {
    return this.#policies;
  }

  /** Whether a file that was named has the policy: the agent is of no use without it. */
  isRequired(key: string): boolean {
    return this.#named.has(key);
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  /** The listener is called when the directory begins to change: what attaching needs can be read until it has. */
  onAnnounced(listener: () => void): void {
    this.#prepare = listener;
  }

  /** A compiler that cannot be loaded is reported by the first file. */
  #announce(): void {
    loadCompiler().then(this.#prepare, () => {});
  }

  /** Reads the directory again. What it had stays wanted while it cannot be read. */
  refresh(): void {
    const directory = this.#directory;
    if (directory === undefined) return;
    this.#reading = this.#reading
      .then(() => this.#read(directory))
      .then(() => this.#listener())
      .catch((error: unknown) => {
        this.#logger.error(`${directory}: ${errorText(error)}: its policies stay`);
      });
  }

  close(): void {
    this.#watch?.close();
  }

  async #read(directory: string): Promise<void> {
    const files = new Map<string, PolicyFile>();
    for (const path of await listDirectory(directory)) {
      const before = this.#files.get(path);
      files.set(path, keepBroken(await readPolicyFile(path, before), before));
    }
    this.#files = files;
    const lines: string[] = [];
    const policies = new Map(this.#named);
    for (const file of files.values()) {
      lines.push(...file.errors);
      for (const policy of file.policies) addPolicy(policies, policy, lines);
    }
    this.#policies = policies;
    this.#report(
      lines,
      [...files.values()].flatMap(({ warnings }) => warnings),
    );
  }

  #report(errors: readonly string[], warnings: readonly string[]): void {
    for (const line of errors) if (!this.#reported.has(line)) this.#logger.error(line);
    for (const line of warnings) if (!this.#reported.has(line)) this.#logger.warn(line);
    this.#reported = new Set([...errors, ...warnings]);
  }
}

function addPolicy(policies: Map<string, DesiredPolicy>, policy: DesiredPolicy, lines: string[]): void {
  const key = policyKey(policy.ref);
  const first = policies.get(key);
  if (first) lines.push(`${policy.origin}: ${key} is already given by ${first.origin}`);
  else policies.set(key, policy);
}

async function listDirectory(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name));
  const paths = names.sort().map((name) => join(directory, name));
  const isRead = await Promise.all(paths.map(canBeRead));
  return paths.filter((_, index) => isRead[index]);
}

/**
 * False for a pipe, which would make the agent wait, and for a directory. A broken link is reported when it is read.
 */
function canBeRead(path: string): Promise<boolean> {
  return stat(path).then(
    (there) => there.isFile(),
    () => true,
  );
}
