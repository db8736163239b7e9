/** The wait status of a process: its lower seven bits are the signal that ended it, the next byte its exit code. */
import { constants } from "node:os";

/** Names of signals by number. */
export const SIGNAL_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.signals).map(([name, number]) => [number, name] as const),
  // two names of one number: the one that is in use
  ...(["SIGABRT", "SIGIO", "SIGSYS"] as const).map((name) => [constants.signals[name], name] as const),
]);

/** Number of the signal that ended the process; 0: it has exited. */
export function signalNumber(code: number): number {
  return code & 0x7f;
}

/** Exit code of the process. */
export function exitStatus(code: number): number {
  return (code >>> 8) & 0xff;
}
