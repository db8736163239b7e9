/** One readable line per event: time, node, where it ran, binary, what changed. */

/** The parts of a JSON event that the line shows; everything else is ignored. */
export interface CompactEvent {
  time?: string;
  node_name?: string;
  process_exec?: ProcessPart;
  process_exit?: ProcessPart & { signal?: string; status?: number };
  process_kprobe?: ProcessPart & {
    function_name?: string;
    policy_name?: string;
    args?: Argument[];
    credential_change?: Record<string, unknown>;
  };
}

interface ProcessPart {
  process?: {
    pid?: number;
    binary?: string;
    arguments?: string;
    pod?: { namespace?: string; name?: string; container?: { name?: string } };
  };
}

interface Credentials {
  uid?: number;
  euid?: number;
  suid?: number;
  fsuid?: number;
  gid?: number;
  egid?: number;
  sgid?: number;
  fsgid?: number;
  securebits?: string[];
  caps?: { permitted?: string[]; effective?: string[]; inheritable?: string[] };
  user_ns?: { level?: number };
}

type Argument = Record<string, unknown> & {
  label?: string;
  process_credentials_arg?: Credentials;
  error_arg?: { Message?: string };
};

const UNCHANGED_ID = 4294967295;
/** Capabilities of a process that has all of a 5.9+ kernel's. */
const ALL_CAPABILITIES = 41;
const SHOWN_CAPABILITIES = 3;

/** Undefined for events that this view does not know. */
export function compactLine(event: CompactEvent): string | undefined {
  const what = describe(event);
  if (what === undefined) return undefined;
  const process = (event.process_kprobe ?? event.process_exec ?? event.process_exit)?.process;
  return [clockTime(event.time), event.node_name ?? "-", place(process), process?.binary ?? "-", what].join(
    "  ",
  );
}

function describe(event: CompactEvent): string | undefined {
  if (event.process_kprobe) {
    const { function_name: name = "?", args = [], credential_change: change } = event.process_kprobe;
    const call = `${name.replace(/^__(x64|arm64)_sys_/, "")}(${args.map(argumentText).join(", ")})`;
    return change === undefined ? call : `${call}  ${changeText(change)}`;
  }
  if (event.process_exec) return `exec ${event.process_exec.process?.arguments ?? ""}`.trimEnd();
  if (event.process_exit) return `exit ${event.process_exit.signal ?? event.process_exit.status ?? 0}`;
  return undefined;
}

/** Fields of credential_change that repeat the others in full detail. */
const WHOLE_CREDENTIALS = new Set(["old", "new"]);

function changeText(change: Record<string, unknown>): string {
  const texts = Object.entries(change)
    .filter(([name]) => !WHOLE_CREDENTIALS.has(name))
    .map(([name, value]) => fieldChangeText(name, value as FieldChange));
  return texts.length === 0 ? "changes nothing" : texts.join("; ");
}

interface FieldChange {
  old?: unknown;
  new?: unknown;
  added?: string[];
  removed?: string[];
  Message?: string;
}

function fieldChangeText(name: string, change: FieldChange): string {
  if (change.Message !== undefined) return `<${change.Message}>`;
  if (name === "keyrings") return `keyrings ${Object.keys(change).join(",")}`;
  const { added, removed } = change;
  if (!name.startsWith("cap_")) return `${name} ${valueText(change.old)} -> ${valueText(change.new)}`;
  const parts = [added && `+${capabilitiesText(added)}`, removed && `-${capabilitiesText(removed)}`];
  return [name, ...parts.filter((part) => part !== undefined)].join(" ");
}

/** An id, or what is shortest of a list, a group list or a user namespace. */
function valueText(value: unknown): string {
  if (value === undefined) return "none";
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return value.join("+");
  const { level, count, ids = [] } = value as { level?: number; count?: number; ids?: number[] };
  if (level !== undefined) return `level ${level}`;
  return count === 0 ? "none" : ids.join(",");
}

/** HH:MM:SS.mmm of an RFC 3339 time; the date is the same for the whole screen. */
function clockTime(time: string | undefined): string {
  return /T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)/.exec(time ?? "")?.[1]?.padEnd(12, " ") ?? "-";
}

function place(process: ProcessPart["process"]): string {
  const pod = process?.pod;
  return pod ? `${pod.namespace}/${pod.name}` : "host";
}

function argumentText(argument: Argument): string {
  const label = argument.label === undefined ? "" : `${argument.label}=`;
  if (argument.error_arg) return `${label}<${argument.error_arg.Message}>`;
  if (argument.process_credentials_arg) return label + credentialsText(argument.process_credentials_arg);
  const [, value] = Object.entries(argument).find(([key]) => key.endsWith("_arg")) ?? [];
  return label + (typeof value === "object" ? JSON.stringify(value) : String(value));
}

function credentialsText(cred: Credentials): string {
  const parts = [
    idsText("uid", [cred.uid, cred.euid, cred.suid, cred.fsuid]),
    idsText("gid", [cred.gid, cred.egid, cred.sgid, cred.fsgid]),
    `caps ${capabilitiesText(cred.caps?.effective)}`,
  ];
  if (cred.securebits?.length) parts.push(cred.securebits.join("+"));
  if (cred.user_ns?.level) parts.push(`user ns level ${cred.user_ns.level}`);
  return parts.join(" ");
}

/** One number when real, effective, saved and file-system id agree, else all four in that order. */
function idsText(name: string, ids: (number | undefined)[]): string {
  const texts = ids.map((id) => (id === UNCHANGED_ID ? "-1" : String(id ?? "?")));
  return new Set(texts).size === 1 ? `${name} ${texts[0]}` : `${name} ${texts.join("/")}`;
}

function capabilitiesText(names: string[] | undefined): string {
  if (!names?.length) return "none";
  if (names.length >= ALL_CAPABILITIES || names[0] === "ALL") return "all";
  const shown = names.slice(0, SHOWN_CAPABILITIES).map((name) => name.replace(/^CAP_/, "").toLowerCase());
  return names.length > SHOWN_CAPABILITIES
    ? `${shown.join(",")} and ${names.length - SHOWN_CAPABILITIES} more`
    : shown.join(",");
}
