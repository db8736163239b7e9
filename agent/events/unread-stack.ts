/** Stacks that the kernel could not read. */
import { getSystemErrorName } from "node:util";

/** The only frame of such a stack: it has the reason in place of a symbol. */
export function unreadStack(error: number): { symbol: string } {
  return { symbol: `(not read: ${getSystemErrorName(-error)})` };
}
