/** Members of the structures that policies about credentials read, from the BTF of several kernels. Pure. */
import type { BtfEntry, KernelTypes } from "./prototypes.ts";

/** Structures whose members are recorded: a path that leaves them is left to the nodes. */
const RECORDED: ReadonlySet<string> = new Set([
  ...[
    "cred",
    "kernel_cap_struct",
    "group_info",
    "user_namespace",
    "uid_gid_map",
    "ucounts",
    "user_struct",
    "key",
  ],
  ...[
    "task_struct",
    "signal_struct",
    "seccomp",
    "refcount_struct",
    "pid",
    "upid",
    "nsproxy",
    "css_set",
    "cgroup",
    "kernfs_node",
  ],
  ...[
    "ns_common",
    "pid_namespace",
    "mnt_namespace",
    "uts_namespace",
    "ipc_namespace",
    "cgroup_namespace",
    "net",
  ],
  ...["new_utsname", "kern_ipc_perm", "module", "load_info"],
  ...[
    "linux_binprm",
    "mm_struct",
    "fs_struct",
    "files_struct",
    "fdtable",
    "file",
    "filename",
    "path",
    "dentry",
  ],
  ...["qstr", "inode", "iattr", "super_block", "vfsmount", "mnt_idmap", "posix_acl"],
]);

/** Per structure and member, as the table has them, the kernels as bits. */
type Members = Map<string, Map<string, number>>;

/** The text of policy/members/structures.gen.ts. */
export function structuresFile(kernels: readonly KernelTypes[], comment: string): string {
  const structures: Members = new Map();
  for (const [bit, { types }] of kernels.entries()) {
    const reader = new Reader(new Map(types.map((type) => [type.id, type])), structures, 1 << bit);
    for (const type of types) if (isStructure(type) && RECORDED.has(type.name)) reader.add(type.name, type);
  }
  const all = (1 << kernels.length) - 1;
  const lines = [...structures]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, members]) => `  ${JSON.stringify(name)}: ${JSON.stringify(textOf(members, all))},`);
  return `${comment}

/** Members by structure, in the words of recorded-types.ts. */
export const STRUCTURES: Readonly<Record<string, string>> = {
${lines.join("\n")}
};
`;
}

function textOf(members: ReadonlyMap<string, number>, all: number): string {
  return [...members].map(([member, bits]) => (bits === all ? member : `${member}@${bits}`)).join(",");
}

function isStructure({ kind }: BtfEntry): boolean {
  return kind === "STRUCT" || kind === "UNION";
}

/** Adds the structures of one kernel. */
class Reader {
  readonly #types: ReadonlyMap<number, BtfEntry>;
  readonly #structures: Members;
  readonly #bit: number;

  constructor(types: ReadonlyMap<number, BtfEntry>, structures: Members, bit: number) {
    this.#types = types;
    this.#structures = structures;
    this.#bit = bit;
  }

  add(key: string, { members = [] }: BtfEntry): void {
    const rows = this.#structures.get(key) ?? new Map<string, number>();
    this.#structures.set(key, rows);
    for (const [position, { name, type_id, bitfield_size = 0 }] of members.entries()) {
      const isAnonymous = name === "(anon)" || name === "";
      const member = isAnonymous ? "" : name;
      const bits = bitfield_size > 0 ? `:${bitfield_size}` : "";
      const inner = `${key.replace(/[{}]/g, "")}.${isAnonymous ? position : name}`;
      const row = `${member}${bits} ${this.#spell(type_id, inner)}`;
      rows.set(row, (rows.get(row) ?? 0) | this.#bit);
    }
  }

  /** A structure without a name of its own is named by its typedef, else by the member that has it, `inner`. */
  #spell(id: number, inner: string): string {
    const type = this.#types.get(id);
    switch (type?.kind) {
      case "TYPEDEF":
        return this.#spell(type.type_id ?? 0, type.name);
      case "CONST":
      case "VOLATILE":
      case "RESTRICT":
      case "TYPE_TAG":
        return this.#spell(type.type_id ?? 0, inner);
      case "INT":
      case "ENUM64":
        return `${type.encoding === "SIGNED" ? "-" : ""}${type.size}`;
      case "ENUM":
        return `-${type.size}`;
      case "PTR":
        return `*${this.#spell(type.type_id ?? 0, inner)}`;
      case "ARRAY":
        return `[${type.nr_elems}]${this.#spell(type.type_id ?? 0, inner)}`;
      case "STRUCT":
      case "UNION":
        return this.#structure(type, inner);
      default:
        return "";
    }
  }

  #structure(type: BtfEntry, inner: string): string {
    if (type.name !== "(anon)" && type.name !== "") return type.name;
    const key = `{${inner}}`;
    this.add(key, type);
    return key;
  }
}
