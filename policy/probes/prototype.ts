/** What the generated table has of a function, an LSM hook, a raw tracepoint or a trace event. */

/**
 * Kernels that have it, one bit each; what it returns; its parameters as C declares them; a letter or digit for the shape
 * of each: p address, 1 2 4 8 bytes of an integer, s another structure, . variable.
 */
export type Prototype = readonly [
  kernels: number,
  returns: string,
  parameters: readonly string[],
  shapes: string,
];

/**
 * Kernels that have the event, one bit each; its own fields, behind those that all events have, as its format declares
 * them, such as `pid_t pid` and `__data_loc char[] filename`; the bytes of each, or i: the event has the array itself.
 */
export type EventFields = readonly [kernels: number, fields: readonly string[], shapes: string];
