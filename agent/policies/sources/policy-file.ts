/** One policy file, read and compiled. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { policyKey } from "../../../crds/names.ts";
import { errorText } from "../../../lib/logger.ts";
import type { PolicyFile } from "./compile-file.ts";
import { loadCompiler } from "./load-compiler.ts";

/** Never rejects: a file that cannot be read has an error. `known` is returned where the content is still the same. */
export async function readPolicyFile(path: string, known?: PolicyFile): Promise<PolicyFile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return { path, hash: "", policies: [], errors: [`${path}: ${errorText(error)}`], warnings: [] };
  }
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (known?.hash === hash) return known;
  const { compileFile } = await loadCompiler();
  return compileFile(path, hash, bytes);
}

/** A file that has an error keeps what it had before, marked as broken: the specs that run stay. */
export function keepBroken(file: PolicyFile, before: PolicyFile | undefined): PolicyFile {
  const [problem] = file.errors;
  if (problem === undefined || !before) return file;
  const keys = new Set(file.policies.map(({ ref }) => policyKey(ref)));
  const missing = before.policies.filter(({ ref }) => !keys.has(policyKey(ref)));
  const broken = missing.map(({ ref, hash, origin }) => ({ ref, hash, origin, problem }));
  return { ...file, policies: [...file.policies, ...broken] };
}
