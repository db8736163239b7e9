/** Lines as `tetra getevents -o compact` prints them, for people and scripts that read those. Pure. */
import { type TetraStyle, visible } from "./style.ts";

/** What tetra's flags of the same names add. */
export interface TetraOptions {
  timestamps: boolean;
  stackTraces: boolean;
  imaHash: boolean;
}

interface TetraProcess {
  binary?: string;
  arguments?: string;
  pod?: { namespace?: string; name?: string };
  cap?: { effective?: string[] };
}

interface Frame {
  address?: string;
  offset?: string;
  symbol?: string;
  module?: string;
}

/** An event in its JSON form; what a line does not show is ignored. */
interface TetraBody {
  process?: TetraProcess;
  signal?: string;
  status?: number;
  function_name?: string;
  subsys?: string;
  event?: string;
  path?: string;
  symbol?: string;
  buildid?: string;
  args?: Argument[];
  kernel_stack_trace?: Frame[];
  user_stack_trace?: Frame[];
  ima_hash?: string;
}

interface Argument {
  int_arg?: number;
  uint_arg?: number;
  size_arg?: string;
  string_arg?: string;
  file_arg?: { path?: string };
  path_arg?: { path?: string };
  linux_binprm_arg?: { path?: string };
}

/** Icon and name of an event with what stands behind the process. */
type Look = [icon: string, name: string, ...details: string[]];

const CAPABILITY_COLUMN = 120;
const SHOWN_CAPABILITY = "CAP_SYS_ADMIN";

/** The line of an event, and those below it; undefined for types that tetra has no line for. */
export function tetraLines(
  event: Record<string, unknown>,
  style: TetraStyle,
  options: TetraOptions,
): string | undefined {
  const [type, body] = Object.entries(event).find(([name]) => name in LOOKS) ?? [];
  const { process, ...rest } = (body ?? {}) as TetraBody;
  const look = LOOKS[type ?? ""];
  if (!look || !process) return undefined;
  const [icon, name, ...details] = look({ process, ...rest }, style);
  const source = process.pod ? `${process.pod.namespace}/${process.pod.name}` : String(event.node_name ?? "");
  const line = [
    style.event(`${icon} ${name.padEnd(7)}`),
    style.source(visible(source)),
    style.binary(visible(process.binary ?? "")),
    ...details,
  ].join(" ");
  const time = options.timestamps ? `${nanoseconds(String(event.time ?? ""))} ` : "";
  return [time + withCapabilities(line, process, style), ...below(rest, style, options)].join("\n");
}

/** Nine digits of a second, whatever the event has. */
function nanoseconds(time: string): string {
  const [, seconds = time, fraction = ""] = /^([^.Z]*)(?:\.(\d+))?Z?$/.exec(time) ?? [];
  return `${seconds}.${fraction.padEnd(9, "0")}Z`;
}

function withCapabilities(line: string, { cap }: TetraProcess, style: TetraStyle): string {
  if (!cap?.effective?.includes(SHOWN_CAPABILITY)) return line;
  const mark = style.binary(`🛑 ${SHOWN_CAPABILITY}`);
  return `${line} ${mark.padStart(Math.max(CAPABILITY_COLUMN - Buffer.byteLength(line), 0))}`;
}

const LOOKS: Readonly<Record<string, (body: TetraBody, style: TetraStyle) => Look>> = {
  process_exec: ({ process }, { detail }) => ["🚀", "process", detail(visible(process?.arguments ?? ""))],
  process_exit: ({ process, signal, status = 0 }, { detail, alarm }) => [
    "💥",
    "exit",
    detail(visible(process?.arguments ?? "")),
    alarm(signal || String(status)),
  ],
  process_kprobe: (body, { detail }) => {
    const { function_name: name = "" } = body;
    const [icon, short, ...details] = CALLS[name.replace(/^__(x64|arm64)_/, "")]?.(body.args ?? []) ?? [
      "❓",
      "syscall",
      visible(name),
    ];
    return [icon, short, ...details.map((text) => detail(text))];
  },
  process_tracepoint: ({ subsys = "", event = "" }) => ["⁉️", "tracepoint", subsys, event],
  process_lsm: ({ function_name: name = "" }) => ["🔒", "LSM", name],
  process_uprobe: ({ path = "", symbol = "" }) => ["🕵️", "uprobe", visible(path), visible(symbol)],
  process_loader: ({ path = "" }, { offset }) => ["🧬", "loader", offset(visible(path))],
};

const filePath = (argument: Argument | undefined) => visible(argument?.file_arg?.path ?? "");
const text = (argument: Argument | undefined) => visible(argument?.string_arg ?? "");
const transfer =
  (icon: string, name: string) =>
  (args: readonly Argument[]): Look => [
    icon,
    name,
    filePath(args[0]),
    args[2] ? `${args[2].size_arg ?? 0} bytes` : "",
  ];
const mount =
  (name: string) =>
  (args: readonly Argument[]): Look => ["💾", name, text(args[0]), text(args[1])];

/** Calls with a look of their own. */
const CALLS: Readonly<Record<string, (args: readonly Argument[]) => Look>> = {
  sys_write: transfer("📝", "write"),
  sys_read: transfer("📚", "read"),
  fd_install: (args) => ["📬", "open", filePath(args[1])],
  sys_openat: (args) => ["📬️", "openat", text(args[1])],
  sys_open: (args) => ["📬️", "open", text(args[1])],
  sys_close: (args) => ["📪", "close", filePath(args[0])],
  sys_mount: mount("mount"),
  sys_pivot_root: mount("pivot_root"),
  sys_setuid: (args) => ["🔑", "setuid", args[0] ? String(args[0].int_arg ?? 0) : ""],
  sys_clock_settime: () => ["⏰", "clock_settime"],
  proc_exec_connector: () => ["🔧", "proc_exec_connector"],
  sys_setns: (args) => ["🔧", "setns", args[1] ? (NAMESPACE_TYPES[args[1].int_arg ?? 0] ?? "") : ""],
  security_path_truncate: (args) => ["📝", "truncate", visible(args[0]?.path_arg?.path ?? "")],
  security_file_permission: ([file, access]) => {
    const [icon, name] = ACCESSES[access?.int_arg ?? 0] ?? ["❓", "security_file_permission"];
    return [icon, name, filePath(file)];
  },
  security_mmap_file: ([file, protection]) => {
    const bits = [...("rwx" as const)].filter((_, bit) => (protection?.uint_arg ?? 0) & (1 << bit));
    return ["📝", `mmap-${bits.join("")}`, filePath(file)];
  },
};

/** MAY_WRITE and MAY_READ. */
const ACCESSES: Readonly<Record<number, [string, string]>> = { 2: ["📝", "write"], 4: ["📚", "read"] };

/** The flag that setns is called with. */
const NAMESPACE_TYPES: Readonly<Record<number, string>> = {
  0: "any",
  128: "time",
  131072: "mnt",
  33554432: "cgroup",
  67108864: "uts",
  134217728: "ipc",
  268435456: "user",
  536870912: "pid",
  1073741824: "net",
};

function below(body: TetraBody, style: TetraStyle, { stackTraces, imaHash }: TetraOptions): string[] {
  return [...(stackTraces ? stackLines(body, style) : []), ...(imaHash ? hashLine(body, style) : [])];
}

function stackLines({ kernel_stack_trace, user_stack_trace }: TetraBody, style: TetraStyle): string[] {
  const { source, event, offset } = style;
  const address = (frame: Frame) => source(`   0x${hex(frame.address)}:`);
  const kernel = (frame: Frame) =>
    `${address(frame)}${event(` ${frame.symbol ?? ""}`)}+${offset(`0x${hex(frame.offset)}`)}`;
  const user = (frame: Frame) =>
    address(frame) +
    (frame.symbol ? event(` ${visible(frame.symbol)}`) : "") +
    offset(` (${visible(frame.module ?? "")}+0x${hex(frame.offset)})`);
  return [
    ...(kernel_stack_trace ? ["Kernel:", ...kernel_stack_trace.map(kernel)] : []),
    ...(user_stack_trace ? ["User:", ...user_stack_trace.map(user)] : []),
  ];
}

function hex(decimal = "0"): string {
  return BigInt(decimal).toString(16);
}

/** The hash stands behind the file that the hook's first argument names. */
function hashLine({ ima_hash: hash, args = [] }: TetraBody, { source, event }: TetraStyle): string[] {
  const path = args[0]?.linux_binprm_arg?.path ?? args[0]?.file_arg?.path;
  return hash && path ? [`${source(`   ${visible(path)}`)}${event(` ${hash}`)}`] : [];
}
