/** Tables that are looked up by the name of a system call, without `sys_`. */

/** From the calls of each function, separated by spaces, to the function of each call. */
export function byCall(callsOf: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const rows = Object.entries(callsOf);
  return new Map(rows.flatMap(([name, calls]) => calls.split(" ").map((call) => [call, name] as const)));
}
