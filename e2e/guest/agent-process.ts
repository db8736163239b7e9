/** The agent as a user runs it: a process with flags, a log, an export file and an exit status. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { exitOf } from "../../lib/testing/child-process.ts";
import { projectProgram } from "./project-program.ts";

const MAIN = projectProgram("agent/main");
const SERVER = "127.0.0.1:2112";

/** With TRIGON_DRIFT=1 every agent looks for credential drift, and one with an export file fails if it found some. */
const LOOKS_FOR_DRIFT = process.env.TRIGON_DRIFT === "1";

/** One line of the export file. */
export type ExportedEvent = Record<string, unknown> & { time: string; node_name: string };

/** A running agent. */
export interface AgentProcess {
  readonly pid: number;
  /** Its log so far. */
  log(): string;
  /** Every event so far. */
  events(): Promise<ExportedEvent[]>;
  /** Body of a path of its server. */
  get(path: string): Promise<string>;
  /** Sends a signal and resolves with the exit status. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Exit status and output of an agent that has ended. */
export interface AgentEnd {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Starts an agent and resolves when it is ready; rejects with its log otherwise. */
export async function startAgent(exportFile: string, flags: readonly string[]): Promise<AgentProcess> {
  const child = spawnAgent([
    ...flags,
    "--export-filename",
    exportFile,
    "--export-file-max-size-mb=0",
    "--metrics-server",
    SERVER,
  ]);
  const output = collectOutput(child);
  const agent: AgentProcess = {
    pid: child.pid ?? 0,
    log: () => output.stderr,
    events: () => readEvents(exportFile),
    get: async (path) => (await fetch(`http://${SERVER}${path}`)).text(),
    stop: async (signal = "SIGTERM") => {
      const status = await stopChild(child, signal);
      if (LOOKS_FOR_DRIFT) expectNoDrift(await agent.events());
      return status;
    },
  };
  await until(child, () => output.stderr, answersReady);
  return agent;
}

/** Resident memory of a process. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

/** Runs an agent that is expected to end by itself. */
export async function runAgent(flags: readonly string[], command: readonly string[] = []): Promise<AgentEnd> {
  const child = spawnAgent(flags, command);
  const output = collectOutput(child);
  const [status] = (await once(child, "close")) as [number | null];
  return { status, ...output };
}

/** `command` runs the agent: capsh, for example. */
function spawnAgent(flags: readonly string[], command: readonly string[] = []): ChildProcess {
  const all = LOOKS_FOR_DRIFT ? [...flags, "--credential-drift"] : flags;
  const [program = process.execPath, ...args] = [...command, process.execPath, MAIN, ...all];
  return spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
}

function collectOutput(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  return output;
}

/** Starts an agent with these flags only, by `command` if given; resolves when its log reports that it is ready. */
export async function startBareAgent(
  flags: readonly string[],
  command: readonly string[] = [],
): Promise<BareAgent> {
  const child = spawnAgent(flags, command);
  const output = collectOutput(child);
  await until(
    child,
    () => output.stderr,
    async () => / ready /.test(output.stderr),
  );
  return {
    isRunning: () => child.exitCode === null,
    signal: (signal) => child.kill(signal),
    closeLog: () => child.stderr?.destroy(),
    logs: (pattern) =>
      until(
        child,
        () => output.stderr,
        async () => pattern.test(output.stderr),
      ),
    end: async (signal) => {
      child.kill(signal);
      const [status] = (await once(child, "close")) as [number | null];
      return { status, ...output };
    },
  };
}

/** An agent without a server. */
export interface BareAgent {
  isRunning(): boolean;
  signal(signal: NodeJS.Signals): void;
  /** Closes the reading end of its log. */
  closeLog(): void;
  /** Resolves when the log has what is looked for. */
  logs(pattern: RegExp): Promise<void>;
  end(signal: NodeJS.Signals): Promise<AgentEnd>;
}

/** Starting Node takes half a minute in an emulated guest on a busy machine. */
const START_MS = 180_000;

async function until(child: ChildProcess, log: () => string, isReady: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`the agent ended with status ${child.exitCode}:\n${log()}`);
    if (await isReady()) return;
    await delay(100);
  }
  child.kill("SIGKILL");
  throw new Error(`the agent is not ready after ${START_MS / 1000} s:\n${log()}`);
}

function answersReady(): Promise<boolean> {
  return fetch(`http://${SERVER}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

function expectNoDrift(events: readonly ExportedEvent[]): void {
  const drifts = events.filter((event) => "credential_drift" in event);
  assert.deepEqual(drifts, [], "credential drift");
}

async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  const [status] = await exitOf(child);
  return status;
}

async function readEvents(file: string): Promise<ExportedEvent[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  const complete = text.slice(0, text.lastIndexOf("\n") + 1);
  return complete
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ExportedEvent);
}
