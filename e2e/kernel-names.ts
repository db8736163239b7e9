/** All functions, LSM hooks and raw tracepoints that the BTF of kernels names, small enough to be committed. Pure. */
import { brotliCompressSync, constants } from "node:zlib";
import type { KernelTypes } from "./prototypes.ts";

/** Raw tracepoints are named by a type. */
const TRACEPOINT_PREFIX = "btf_trace_";

/** The text of cli/kernels/names.gen.ts: per name a letter for the kernels that have it, a bit each from `@` on. */
export function namesFile(kernels: readonly KernelTypes[], comment: string): string {
  const masks = new Map<string, number>();
  for (const [bit, { types }] of kernels.entries()) {
    for (const { kind, name } of types) {
      const isNamed = kind === "FUNC" || (kind === "TYPEDEF" && name.startsWith(TRACEPOINT_PREFIX));
      if (isNamed) masks.set(name, (masks.get(name) ?? 0) | (1 << bit));
    }
  }
  const lines = [...masks].map(([name, mask]) => `${name}${String.fromCharCode(0x40 + mask)}`).sort();
  const packed = brotliCompressSync(lines.join("\n"), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 },
  });
  const names = kernels.map(({ name }) => JSON.stringify(name)).join(", ");
  return `${comment}

/** The kernels, in the order of their bits. */
export const KERNELS: readonly string[] = [${names}];

/** The names, packed as e2e/kernel-names.ts has them. */
export const NAMES = "${packed.toString("base64")}";
`;
}
