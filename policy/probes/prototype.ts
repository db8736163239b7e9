/** One prototype of a function or LSM hook, as it stands in the generated table. */

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
