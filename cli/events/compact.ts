/** One readable line per event: time, node, where it ran, command line, what changed, whether it was allowed. */
import { getSystemErrorMap } from "node:util";
import { PLAIN, type Style, visible } from "./style.ts";

/** The parts of a JSON event that the line shows; everything else is ignored. */
export interface CompactEvent {
  time?: string;
  node_name?: string;
  process_exec?: ProcessPart;
  process_exit?: ProcessPart & { signal?: string; status?: number };
  process_kprobe?: HookPart;
  process_lsm?: HookPart;
  process_tracepoint?: HookPart & { subsys?: string; event?: string };
  credential_drift?: HookPart & { noticed_at?: string };
  rate_limit_info?: { number_of_dropped_process_events?: string };
}

interface ProcessPart {
  process?: {
    pid?: number;
    binary?: string;
    arguments?: string;
    pod?: { namespace?: string; name?: string; container?: { name?: string } };
    process_credentials?: { uid?: number };
    binary_properties?: { setuid?: number; setgid?: number; privileges_changed?: string[] };
  };
}

type HookPart = ProcessPart & {
  function_name?: string;
  policy_name?: string;
  action?: string;
  args?: Argument[];
  return?: Argument;
  credential_change?: Record<string, unknown>;
};

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
export function compactLine(event: CompactEvent, style: Style = PLAIN): string | undefined {
  const lost = event.rate_limit_info?.number_of_dropped_process_events;
  if (lost !== undefined) return style.denied(`${clockTime(event.time)}  ${lost} events were lost`);
  const what = describe(event, style);
  if (what === undefined) return undefined;
  const process = partOf(event)?.process;
  return [
    style.faint(clockTime(event.time)),
    style.faint(visible(event.node_name ?? "-")),
    style.place(visible(place(process))),
    commandLine(process, style),
    ...what,
  ].join("  ");
}

function partOf(event: CompactEvent): ProcessPart | undefined {
  const { process_kprobe, process_lsm, process_tracepoint, process_exec, process_exit } = event;
  const hook = process_kprobe ?? process_lsm ?? process_tracepoint ?? event.credential_drift;
  return hook ?? process_exec ?? process_exit;
}

function commandLine(process: ProcessPart["process"], style: Style): string {
  const { binary = "-", arguments: args = "" } = process ?? {};
  return args === "" ? style.binary(visible(binary)) : `${style.binary(visible(binary))} ${visible(args)}`;
}

function describe(event: CompactEvent, style: Style): string[] | undefined {
  const { process_kprobe, process_lsm, process_tracepoint, process_exec, process_exit } = event;
  const hook = process_kprobe ?? process_lsm ?? process_tracepoint;
  if (hook) return hookTexts(hook, nameOf(event), style);
  if (event.credential_drift) return driftTexts(event.credential_drift, style);
  if (process_exec) return ["exec", ...privilegeTexts(process_exec, style)];
  if (process_exit) return [`exit ${process_exit.signal ?? process_exit.status ?? 0}`];
  return undefined;
}

/** System calls without the architecture's prefix. */
function nameOf({ process_tracepoint: tracepoint, ...event }: CompactEvent): string {
  if (tracepoint) return `${tracepoint.subsys}/${tracepoint.event}`;
  const { function_name = "?" } = event.process_kprobe ?? event.process_lsm ?? {};
  return function_name.replace(/^__(x64|arm64)_sys_/, "");
}

function hookTexts(hook: HookPart, name: string, style: Style): string[] {
  const { args = [], credential_change: change } = hook;
  const texts = [visible(`${name}(${args.map(argumentText).join(", ")})`)];
  if (change !== undefined) texts.push(style.change(visible(changeText(change))));
  return [...texts, ...outcomeTexts(hook, style)];
}

function driftTexts(
  { noticed_at = "?", credential_change = {} }: HookPart & { noticed_at?: string },
  style: Style,
) {
  const change = style.change(visible(changeText(credential_change)));
  return [style.denied(visible(`CREDENTIAL DRIFT noticed at ${noticed_at}`)), change];
}

/** What an exec gains by the file's setuid or setgid bit or its capabilities. */
function privilegeTexts({ process }: ProcessPart, style: Style): string[] {
  const { setuid, setgid, privileges_changed: changed = [] } = process?.binary_properties ?? {};
  const uid = process?.process_credentials?.uid;
  const texts: string[] = [];
  if (setuid !== undefined) texts.push(`euid ${setuid}${uid === undefined ? "" : ` (real uid ${uid})`}`);
  if (setgid !== undefined) texts.push(`egid ${setgid}`);
  if (changed.includes("PRIVILEGES_RAISED_EXEC_FILE_CAP")) texts.push("file capabilities");
  return texts.length === 0 ? [] : [style.change(texts.join("; "))];
}

const ENFORCED: Readonly<Record<string, string>> = {
  KPROBE_ACTION_SIGKILL: "killed",
  KPROBE_ACTION_SIGNAL: "signalled",
  KPROBE_ACTION_OVERRIDE: "denied by the policy",
};
/** Errors that say that the caller may not. */
const DENIALS: ReadonlySet<string> = new Set(["EPERM", "EACCES"]);

function outcomeTexts({ action = "", return: returned }: HookPart, style: Style): string[] {
  const enforced = ENFORCED[action];
  if (enforced !== undefined) return [style.denied(enforced)];
  const value = returned && Number(argumentValue(returned));
  if (value === undefined || Number.isNaN(value)) return [];
  if (value === 0) return ["allowed"];
  const error = getSystemErrorMap().get(value)?.[0];
  if (error === undefined) return [`returned ${value}`];
  return [style.denied(`${DENIALS.has(error) ? "denied" : "failed"} ${error}`)];
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
  const value = argumentValue(argument);
  return label + (typeof value === "object" ? JSON.stringify(value) : String(value));
}

function argumentValue(argument: Argument): unknown {
  return Object.entries(argument).find(([key]) => key.endsWith("_arg") || key === "syscall_id")?.[1];
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
