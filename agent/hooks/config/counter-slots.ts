/** How many elements hook_stats has for this number of processors: a power of two, as their numbers are masked. */
export function counterSlots(cpus: number): number {
  return 2 ** Math.ceil(Math.log2(cpus));
}
