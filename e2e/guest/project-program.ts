/** The programs that tests start. */
import { join, resolve } from "node:path";

const PROJECT = resolve(import.meta.dirname, "../..");

/** The directory with the programs in the image's form, each in a few files; without it they run from their sources. */
export const PROGRAMS_VARIABLE = "TRIGON_TEST_PROGRAMS";

/** The file that Node runs. */
export function projectProgram(name: "agent/main" | "cli/main"): string {
  const joined = process.env[PROGRAMS_VARIABLE];
  return joined ? join(joined, `${name}.js`) : join(PROJECT, `${name}.ts`);
}
