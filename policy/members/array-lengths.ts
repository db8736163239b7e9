/** Where the kernel keeps the lengths of arrays whose type does not tell how many elements there are. */

/** How many elements an array has. */
export interface ArrayLength {
  /** The member of the same structure that has their number. */
  member: string;
  /** Elements beside those that the member counts. */
  more?: 1;
  /** An array inside the structure has at most as many elements as its type says; larger ones are elsewhere. */
  inside?: true;
  /** The member is only valid if there are more elements than this. */
  above?: number;
}

/** By structure and member, as the kernel's sources have it (some of them by `__counted_by`). */
const LENGTHS: Readonly<Record<string, ArrayLength>> = {
  "group_info.gid": { member: "ngroups" },
  "uid_gid_map.extent": { member: "nr_extents", inside: true },
  "uid_gid_map.forward": { member: "nr_extents", above: 5 },
  "uid_gid_map.reverse": { member: "nr_extents", above: 5 },
  "pid.numbers": { member: "level", more: 1 },
  "cgroup.ancestors": { member: "level", more: 1 },
  "cgroup.ancestor_ids": { member: "level", more: 1 },
  "fdtable.fd": { member: "max_fds" },
  "posix_acl.a_entries": { member: "a_count" },
  "skb_shared_info.frags": { member: "nr_frags", inside: true },
  "bpf_prog.insnsi": { member: "len" },
  "sock_fprog_kern.filter": { member: "len" },
};

/** Arrays of characters without a length that a NUL always ends. */
const TERMINATED: ReadonlySet<string> = new Set(["filename.iname"]);

/** The length of a structure's array, if it is known. */
export function arrayLength(structure: string, member: string): ArrayLength | undefined {
  const key = `${structure}.${member}`;
  return Object.hasOwn(LENGTHS, key) ? LENGTHS[key] : undefined;
}

/** Whether a NUL ends the characters of an array without a length. */
export function isTerminated(structure: string, member: string): boolean {
  return TERMINATED.has(`${structure}.${member}`);
}
