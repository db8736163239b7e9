/** The agent of an image's root directory, as a process in a guest, and what the kernel counts of it. */
import { execFile, spawn } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { environmentOf } from "../../e2e/image/archive.ts";
import { exitOf } from "../../lib/testing/child-process.ts";

/** A hook that has been tried, in the log. */
const TRIED = /hook (?:sys_|commit_creds)/g;
const CGROUPS = "/sys/fs/cgroup";

/** A running agent, with a directory for policies that it watches and a file that it exports to. */
export interface ImageAgent {
  readonly pid: number;
  /** When it was started, as performance.now() gives it. */
  readonly startedMs: number;
  /** Where its events go. */
  readonly file: string;
  /** Resolves when its log has so many matches. */
  logged(pattern: RegExp, times: number): Promise<void>;
  /** Adds or changes a policy; resolves when so many hooks more have been tried. */
  putPolicy(name: string, text: string, hooks: number): Promise<void>;
  removePolicy(name: string): Promise<void>;
  /** Time of all its threads on the processor; the kernel counts nanoseconds. */
  cpuMs(): Promise<number>;
  /** How often its threads have gone to sleep. */
  sleeps(): Promise<number>;
  /**
   * What the kernel holds for it and charges it with, without page tables, stacks and caches of files: maps, what the
   * verifier keeps of programs, but not their compiled code, which it charges nobody with.
   */
  kernelMiB(): Promise<number>;
  stop(): Promise<void>;
}

/** Adds or changes a policy with a hook of each of these system calls; resolves when so many hooks more have been tried. */
export async function putSetters(agent: ImageAgent, name: string, setters: readonly string[]): Promise<void> {
  const hooks = setters.map(
    (call) => `    - { call: sys_${call}, syscall: true, args: [{ index: 0, type: int }] }`,
  );
  const text = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec:
  kprobes:
${hooks.join("\n")}
`;
  await agent.putPolicy(name, text, setters.length);
}

/** Prints a figure as the scripts of a comparison do. */
export function report(measure: string, value: number, unit: string): void {
  console.log(JSON.stringify({ measure, value, unit }));
}

/** Runs a program of bench/programs to its end. */
export async function runProgram(name: string, ...args: (number | string)[]): Promise<void> {
  await promisify(execFile)(`build/bench/${name}`, args.map(String));
}

/** An image's root directory, and the environment that it gives its programs, `NAME=VALUE`. */
export interface Image {
  directory: string;
  variables: string[];
}

/** In the guest's memory: the guest's clock runs while it waits for the host's disk, which others use. */
const COPY = "/tmp/image";

/** A copy of what checkouts.ts names on the command line. */
export function imageOfArguments(): Image {
  const [original = "", ...variables] = process.argv.slice(2);
  rmSync(COPY, { recursive: true, force: true });
  cpSync(original, COPY, { recursive: true });
  return { directory: COPY, variables: variables.map((pair) => pair.replace("=/app/", `=${COPY}/app/`)) };
}

/** Starts the agent, with no other environment than in a container; it may not be ready yet. */
export async function startImageAgent(image: Image, flags: readonly string[] = []): Promise<ImageAgent> {
  const directory = await mkdtemp(join(tmpdir(), "agent-"));
  const policies = await mkdtemp(join(tmpdir(), "policies-"));
  const file = join(directory, "events.jsonl");
  const node = join(image.directory, "usr/local/bin/node");
  const main = join(image.directory, "app/agent/main.js");
  const env = environmentOf(image.variables);
  const { stdout: help } = await promisify(execFile)(node, [main, "--help"], { env });
  // Older revisions do not rotate.
  const unrotated = help.includes("--export-file-max-size-mb") ? ["--export-file-max-size-mb=0"] : [];
  const all = ["--tracing-policy-dir", policies, "--export-filename", file, ...unrotated, ...flags];
  const group = await makeGroup();
  const startedMs = performance.now();
  const child = spawn(node, [main, ...all], { env, stdio: ["ignore", "ignore", "pipe"] });
  const pid = child.pid ?? 0;
  await writeFile(join(group, "cgroup.procs"), String(pid));
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));

  async function logged(pattern: RegExp, times: number): Promise<void> {
    while ((log.match(pattern)?.length ?? 0) < times) {
      if (child.exitCode !== null) throw new Error(`the agent ended:\n${log}`);
      await delay(20);
    }
  }
  return {
    pid,
    startedMs,
    file,
    logged,
    async putPolicy(name, text, hooks) {
      const before = log.match(TRIED)?.length ?? 0;
      const part = join(directory, "policy");
      await writeFile(part, text);
      await rename(part, join(policies, `${name}.yaml`));
      await logged(TRIED, before + hooks);
    },
    removePolicy: (name) => rm(join(policies, `${name}.yaml`)),
    async cpuMs() {
      const times = await ofThreads(pid, "schedstat");
      return times.reduce((sum, text) => sum + Number(text.split(" ")[0]), 0) / 1e6;
    },
    async sleeps() {
      const texts = await ofThreads(pid, "status");
      return texts.reduce(
        (sum, text) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]),
        0,
      );
    },
    async kernelMiB() {
      const text = await readFile(join(group, "memory.stat"), "utf8");
      const bytes = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
      const others = ["pagetables", "kernel_stack", "slab_reclaimable"];
      return (bytes("kernel") - others.reduce((sum, name) => sum + bytes(name), 0)) / (1 << 20);
    },
    async stop() {
      child.kill();
      await exitOf(child);
    },
  };
}

/** A cgroup of its own, so that the kernel counts what it allocates for the agent. */
async function makeGroup(): Promise<string> {
  await writeFile(join(CGROUPS, "cgroup.subtree_control"), "+memory");
  const group = join(CGROUPS, `agent-${process.pid}`);
  await mkdir(group, { recursive: true });
  return group;
}

async function ofThreads(pid: number, file: string): Promise<string[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  return Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/${file}`, "utf8")));
}
