/** Flags of a process image, printed as names in bit order. */

export const FLAG_EXECVE = 0x1;
export const FLAG_PROCFS = 0x4;
export const FLAG_TRUNCATED_ARGS = 0x10;
export const FLAG_FILENAME_FAILED = 0x100;
export const FLAG_ARGS_FAILED = 0x200;
export const FLAG_ROOT_CWD = 0x1000;
export const FLAG_CWD_FAILED = 0x2000;
export const FLAG_CLONE = 0x4000;
export const FLAG_CGROUP_FAILED = 0x1_0000;
export const FLAG_CWD_INCOMPLETE = 0x40_0000;
export const FLAG_IN_INIT_TREE = 0x200_0000;

const NAMES: readonly [flag: number, name: string][] = [
  [FLAG_EXECVE, "execve"],
  [FLAG_PROCFS, "procFS"],
  [FLAG_TRUNCATED_ARGS, "truncArgs"],
  [FLAG_FILENAME_FAILED, "errorFilename"],
  [FLAG_ARGS_FAILED, "errorArgs"],
  [FLAG_ROOT_CWD, "rootcwd"],
  [FLAG_CWD_FAILED, "errorCWD"],
  [FLAG_CLONE, "clone"],
  [FLAG_CGROUP_FAILED, "errorCgroupName"],
  [FLAG_CWD_INCOMPLETE, "errorPathResolutionCwd"],
  [FLAG_IN_INIT_TREE, "inInitTree"],
];

/** Names in bit order, separated by blanks; no flag at all means that nothing is known of the image. */
export function flagNames(flags: number): string {
  if (flags === 0) return "unknown";
  return NAMES.filter(([flag]) => (flags & flag) !== 0)
    .map(([, name]) => name)
    .join(" ");
}
