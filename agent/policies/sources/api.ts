/** Policies that clients add over gRPC. Each is stored in a file of its own, so that it survives a restart. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PolicyRef, policyKey, sha256Hex } from "../../../crds/names.ts";
import { errorText, type Logger } from "../../../lib/logger.ts";
import type { CompiledPolicy } from "./policy-text.ts";
import type { DesiredPolicy, SpecSource } from "./source.ts";

/** The content of a policy's file. */
interface Kept {
  ref: PolicyRef;
  domain: string;
  yaml: string;
}

interface Entry {
  domain: string;
  policy: DesiredPolicy;
}

/** The source. It creates `directory` when the first policy is added. */
export class ApiSource implements SpecSource {
  readonly name = "gRPC";
  readonly #directory: string;
  readonly #entries = new Map<string, Entry>();
  #listener: () => void = () => {};

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Reads the policies that were added before; a file that cannot be used is logged and left as it is. */
  static async open(directory: string, logger: Logger): Promise<ApiSource> {
    const source = new ApiSource(directory);
    for (const file of listFiles(directory)) await source.#restore(file, logger);
    return source;
  }

  desired(): ReadonlyMap<string, DesiredPolicy> {
    return new Map([...this.#entries].map(([key, { policy }]) => [key, policy]));
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {}

  /** The domain with which a policy was added; undefined if it was not added to this source. */
  domainOf(key: string): string | undefined {
    return this.#entries.get(key)?.domain;
  }

  /** Domains of all policies. */
  domains(): string[] {
    return [...this.#entries.values()].map(({ domain }) => domain);
  }

  /** Stores a policy and makes it wanted. Throws if it cannot be stored. */
  add({ key, domain, yaml, policy }: CompiledPolicy): void {
    const kept: Kept = { ref: policy.ref, domain, yaml };
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const file = this.#fileOf(key);
    writeFileSync(`${file}.tmp`, JSON.stringify(kept), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    this.#entries.set(key, { domain, policy });
    this.#listener();
  }

  /** Removes a policy and its file. */
  remove(key: string): void {
    rmSync(this.#fileOf(key), { force: true });
    if (this.#entries.delete(key)) this.#listener();
  }

  #fileOf(key: string): string {
    return join(this.#directory, `${sha256Hex(key).slice(0, 32)}.json`);
  }

  async #restore(file: string, logger: Logger): Promise<void> {
    try {
      const kept = JSON.parse(readFileSync(join(this.#directory, file), "utf8")) as Kept;
      this.#entries.set(policyKey(kept.ref), { domain: kept.domain, policy: await restored(kept) });
    } catch (error) {
      logger.error(
        `${join(this.#directory, file)}: not a policy that was added over gRPC: ${errorText(error)}`,
      );
    }
  }
}

/** A stored policy that no longer compiles after an upgrade is reported as broken. */
async function restored({ ref, domain, yaml }: Kept): Promise<DesiredPolicy> {
  const { compileText, originOf } = await import("./policy-text.ts");
  try {
    return compileText(yaml, domain).policy;
  } catch (error) {
    return { ref, hash: sha256Hex(yaml), origin: originOf(domain), problem: errorText(error) };
  }
}

function listFiles(directory: string): string[] {
  return existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => name.endsWith(".json"))
        .sort()
    : [];
}
