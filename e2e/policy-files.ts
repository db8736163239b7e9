/** Policies that a user passes to quickstart. */
import { readFile } from "node:fs/promises";
import { validate } from "../cli/validate.ts";
import { parsePolicies } from "../policy/parse.ts";
import type { Progress } from "./progress.ts";

/** Checks files before a cluster is started; prints and returns the same as `trigon validate`. */
export async function checkPolicyFiles(files: readonly string[], progress: Progress): Promise<number> {
  if (files.length === 0) return 0;
  for (const file of files) await readPolicyFile(file);
  const streams = { out: progress, err: progress, stdin: () => Promise.resolve("") };
  return validate(files, { strict: false, output: "text" }, streams);
}

/** Names of the policies in a file. */
export async function policyNames(file: string): Promise<string[]> {
  const { policies } = parsePolicies(await readPolicyFile(file), file);
  return policies.map(({ object }) => String(object.metadata.name));
}

async function readPolicyFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}
