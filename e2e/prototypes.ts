/** Prototypes of the functions and LSM hooks that policies about credentials hook, from the BTF of several kernels. Pure. */

/** A type as `bpftool btf dump --json` prints it. */
export interface BtfEntry {
  id: number;
  kind: string;
  name: string;
  type_id?: number;
  ret_type_id?: number;
  size?: number;
  nr_elems?: number;
  params?: { name: string; type_id: number }[];
  /** Of an integer. */
  encoding?: string;
  members?: { name: string; type_id: number; bitfield_size?: number }[];
}

/** One kernel: how messages name it, and its types. */
export interface KernelTypes {
  name: string;
  types: BtfEntry[];
}

/** [kernels as bits, what it returns, parameters, a letter or digit for the shape of each]. */
type Row = [kernels: number, returns: string, parameters: string[], shapes: string];

/** [kernels as bits, fields, a letter or digit for the shape of each]. */
type FieldsRow = [kernels: number, fields: string[], shapes: string];

/** Functions whose names show that they are about credentials, capabilities, security hooks, user namespaces or exec. */
const RECORDED = [
  /^security_\w+$/,
  /^cap_(capable|cap|bprm|task|inode|ptrace|settime|mmap|safe|vm|convert)\w*$/,
  /^(commit|override|revert|prepare|abort|copy|exit|put|free|get|set)_(kernel_)?creds?(_\w+)?$/,
  /^(__put_cred|prepare_kernel_cred|cred_fscmp|set_security_override|set_create_files_as)$/,
  /^(ns_|file_ns_|has_|has_ns_)?capab(le|ility)(_\w+)?$/,
  /^(capable_wrt_inode_uidgid|privileged_wrt_inode_uidgid|ptracer_capable|ptrace_may_access|__ptrace_may_access)$/,
  /^__sys_set(re|res|fs)?[ug]id$/,
  /^(set_groups|set_current_groups|groups_alloc|groups_free|groups_sort|groups_search|in_group_p|in_egroup_p)$/,
  /^(create_user_ns|unshare_userns|userns_\w+|ksys_unshare|unshare_nsproxy_namespaces|switch_task_namespaces)$/,
  /^(create_new_namespaces|copy_namespaces|new_idmap_permitted|map_write|proc_[ug]id_map_write|proc_setgroups_write)$/,
  /^(begin_new_exec|setup_new_exec|would_dump|bprm_\w+|install_exec_creds|finalize_exec|search_binary_handler)$/,
  /^(do_execveat_common|exec_binprm|flush_old_exec|de_thread|unshare_fs_struct|fd_install|audit_set_loginuid)$/,
  /^(install_\w*keyring\w*|join_session_keyring|key_change_session_keyring|ptrace_attach|ptrace_request)$/,
  /^(load_module|do_init_module|path_mount|do_mount|do_filp_open|do_sys_openat2|wake_up_new_task)$/,
];
const LSM_PREFIX = "bpf_lsm_";

/** Raw tracepoints around processes, signals, modules and capabilities; a type is named after each. */
const TRACEPOINT =
  /^btf_trace_((?:sched_process|signal|module|task)_\w+|sched_prepare_exec|sys_enter|sys_exit|cap_capable)$/;

/** Trace events around processes, signals, modules and capabilities, each with the type that has its fields. */
const EVENTS: Readonly<Record<string, string>> = {
  "capability/cap_capable": "cap_capable",
  "module/module_free": "module_free",
  "module/module_load": "module_load",
  "module/module_request": "module_request",
  "raw_syscalls/sys_enter": "sys_enter",
  "raw_syscalls/sys_exit": "sys_exit",
  "sched/sched_prepare_exec": "sched_prepare_exec",
  "sched/sched_process_exec": "sched_process_exec",
  "sched/sched_process_exit": "sched_process_exit",
  "sched/sched_process_fork": "sched_process_fork",
  "sched/sched_process_free": "sched_process_template",
  "signal/signal_deliver": "signal_deliver",
  "signal/signal_generate": "signal_generate",
  "task/task_newtask": "task_newtask",
  "task/task_rename": "task_rename",
};
const OF_EVENT = "trace_event_raw_";

/** Events that have a type of their own in some kernels only. */
const OTHERWISE: Readonly<Record<string, string>> = { sched_process_exit: "sched_process_template" };

/** The text of policy/probes/prototypes.gen.ts. */
export function prototypesFile(kernels: readonly KernelTypes[], comment: string): string {
  const functions = new Map<string, Row[]>();
  const hooks = new Map<string, Row[]>();
  const tracepoints = new Map<string, Row[]>();
  const events = new Map<string, FieldsRow[]>();
  for (const [bit, kernel] of kernels.entries()) {
    const types = new Map(kernel.types.map((type) => [type.id, type]));
    const ofEvents = new Map(
      kernel.types.flatMap((type) =>
        type.kind === "STRUCT" && type.name.startsWith(OF_EVENT)
          ? [[type.name.slice(OF_EVENT.length), type] as const]
          : [],
      ),
    );
    for (const [event, name] of Object.entries(EVENTS)) {
      const type = ofEvents.get(name) ?? ofEvents.get(OTHERWISE[name] ?? "");
      if (type) addRow(events, event, bit, fieldsOf(types, type));
    }
    for (const type of kernel.types) {
      const tracepoint = type.kind === "TYPEDEF" ? TRACEPOINT.exec(type.name)?.[1] : undefined;
      if (tracepoint !== undefined) addRow(tracepoints, tracepoint, bit, rowOfTracepoint(types, type));
      if (type.kind !== "FUNC") continue;
      const isHook = type.name.startsWith(LSM_PREFIX);
      const name = isHook ? type.name.slice(LSM_PREFIX.length) : type.name;
      if (isHook || RECORDED.some((pattern) => pattern.test(name)))
        addRow(isHook ? hooks : functions, name, bit, rowOf(types, type.type_id ?? 0));
    }
  }
  return `${comment}
import type { EventFields, Prototype } from "./prototype.ts";

/** Kernels whose BTF was read: bit 0 of a prototype stands for the first. */
export const RECORDED_KERNELS = ${JSON.stringify(kernels.map(({ name }) => name))} as const;

/** Kernel functions. */
export const FUNCTION_PROTOTYPES: Readonly<Record<string, readonly Prototype[]>> = ${tableText(functions)};

/** Hooks of the Linux Security Modules, without bpf_lsm_. */
export const LSM_PROTOTYPES: Readonly<Record<string, readonly Prototype[]>> = ${tableText(hooks)};

/** Raw tracepoints. */
export const TRACEPOINT_PROTOTYPES: Readonly<Record<string, readonly Prototype[]>> = ${tableText(tracepoints)};

/** Trace events. */
export const EVENT_FIELDS: Readonly<Record<string, readonly EventFields[]>> = ${tableText(events)};
`;
}

function addRow<R extends [kernels: number, ...unknown[]]>(
  table: Map<string, R[]>,
  name: string,
  bit: number,
  row: R,
): void {
  const rows = table.get(name) ?? [];
  const [, ...rest] = row;
  const same = rows.find(([, ...other]) => JSON.stringify(other) === JSON.stringify(rest));
  if (same) same[0] |= 1 << bit;
  else rows.push([1 << bit, ...rest] as R);
  table.set(name, rows);
}

function tableText(table: ReadonlyMap<string, unknown[]>): string {
  const lines = [...table]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, rows]) => `  ${/\W/.test(name) ? JSON.stringify(name) : name}: ${JSON.stringify(rows)},`);
  return `{\n${lines.join("\n")}\n}`;
}

type Types = ReadonlyMap<number, BtfEntry>;

function rowOf(types: Types, id: number): Row {
  const proto = types.get(id);
  const params = proto?.params ?? [];
  return [
    0,
    spell(types, proto?.ret_type_id ?? 0),
    params.map(({ name, type_id }) => declare(spell(types, type_id), name === "(anon)" ? "" : name)),
    params
      .map(({ name, type_id }) => (name === "" && type_id === 0 ? "." : shapeOf(types, type_id)))
      .join(""),
  ];
}

/** The type is a pointer to a function, which gets data of its own before what the tracepoint gives. */
function rowOfTracepoint(types: Types, { type_id = 0 }: BtfEntry): Row {
  const [kernels, returns, parameters, shapes] = rowOf(types, types.get(type_id)?.type_id ?? 0);
  return [kernels, returns, parameters.slice(1), shapes.slice(1)];
}

const DATA_LOC = "__data_loc_";

/** The first member is the header of all events, the last the space behind the fields. */
function fieldsOf(types: Types, { members = [] }: BtfEntry): FieldsRow {
  const fields = members.slice(1).filter(({ name }) => name !== "__data");
  const declared = fields.map(({ name, type_id }) =>
    name.startsWith(DATA_LOC)
      ? `__data_loc char[] ${name.slice(DATA_LOC.length)}`
      : declare(spell(types, type_id), name),
  );
  const shapes = fields.map(({ name, type_id }) => {
    if (name.startsWith(DATA_LOC)) return "i";
    const shape = shapeOf(types, type_id);
    return shape === "s" ? "i" : shape.replace("p", "8");
  });
  return [0, declared, shapes.join("")];
}

function declare(type: string, name: string): string {
  if (type === "void" && name === "") return "...";
  return type.endsWith("*") || name === "" ? `${type}${name}` : `${type} ${name}`;
}

/** As C writes it, and as the agent's BTF reader does. */
function spell(types: Types, id: number): string {
  const type = types.get(id);
  if (!type) return "void";
  switch (type.kind) {
    case "PTR": {
      const target = spell(types, type.type_id ?? 0);
      return target.endsWith("*") ? `${target}*` : `${target} *`;
    }
    case "CONST": {
      const target = spell(types, type.type_id ?? 0);
      return target.endsWith("*") ? `${target}const` : `const ${target}`;
    }
    case "VOLATILE":
    case "RESTRICT":
    case "TYPE_TAG":
      return spell(types, type.type_id ?? 0);
    case "STRUCT":
    case "UNION":
    case "ENUM":
    case "ENUM64":
      return `${type.kind.toLowerCase().replace("64", "")} ${type.name}`;
    case "FWD":
      return `struct ${type.name}`;
    case "ARRAY":
      return `${spell(types, type.type_id ?? 0)}[${type.nr_elems ?? ""}]`;
    case "FUNC_PROTO":
      return "void";
    default:
      return type.name;
  }
}

/** p: address; 1, 2, 4, 8: bytes of an integer, also of one in a structure of its own; s: another structure. */
function shapeOf(types: Types, id: number): string {
  const type = types.get(id);
  switch (type?.kind) {
    case "PTR":
      return "p";
    case "INT":
    case "ENUM":
    case "ENUM64":
      return String(type.size);
    case "TYPEDEF":
    case "CONST":
    case "VOLATILE":
    case "RESTRICT":
    case "TYPE_TAG":
      return shapeOf(types, type.type_id ?? 0);
    case "STRUCT": {
      const [member, ...more] = type.members ?? [];
      const inner = member && more.length === 0 ? shapeOf(types, member.type_id) : "s";
      return inner === "p" ? "s" : inner;
    }
    default:
      return "s";
  }
}
