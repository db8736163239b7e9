/** Which kernels `npm test` runs a test file on. The file itself names them; a file that names none runs on all. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isKernelName, KERNEL_NAMES, type KernelName } from "../guest/kernels.ts";
import { PROJECT } from "./run-tests.ts";

const TAG = "@kernels";

/** The kernels of `@kernels NAME, NAME: REASON`, a line of the comment at the top of a test file. Pure. */
export function kernelsOf(source: string): readonly KernelName[] {
  if (!source.includes(TAG)) return KERNEL_NAMES;
  const names = /^ \* @kernels ([^:\n]+): \S/m.exec(source)?.[1]?.split(", ") ?? [];
  const unknown = names.filter((name) => !isKernelName(name));
  if (names.length > 0 && unknown.length === 0) return names.filter(isKernelName);
  const problem = unknown.length > 0 ? `there is no kernel ${unknown.join(", ")}` : "it names no kernel";
  throw new Error(`${problem}: a line " * ${TAG} ${KERNEL_NAMES.join(", ")}: REASON" is needed`);
}

/** Splits test files into those that `npm test` runs on this kernel and the others. */
export function filesOn(kernel: KernelName, files: readonly string[]) {
  const { run = [], leftOut = [] } = Object.groupBy(files, (file) =>
    readKernels(file).includes(kernel) ? "run" : "leftOut",
  );
  return { run, leftOut };
}

function readKernels(file: string): readonly KernelName[] {
  try {
    return kernelsOf(readFileSync(join(PROJECT, file), "utf8"));
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}
