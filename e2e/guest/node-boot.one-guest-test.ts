/**
 * A node that boots: systemd starts services as users of their own, with capabilities, user namespaces and seccomp
 * filters, and nothing of it is credential drift.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/node-boot.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { type ExportedEvent, startAgent } from "./agent-process.ts";

const run = promisify(execFile);

const SYSTEMD = "/lib/systemd/systemd";
/** Compares the credentials of each task that needs a capability, beside what the flag compares. */
const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: capabilities }
spec:
  options: [{ name: credential-drift, value: "true" }]
  kprobes:
    - { call: cap_capable, syscall: false, selectors: [{ matchActions: [{ action: NoPost }] }] }
`;
const NAMESPACES = [
  "--pid",
  "--fork",
  "--kill-child",
  "--mount",
  "--uts",
  "--ipc",
  "--cgroup",
  "--mount-proc",
];
/** Services that get other credentials than the manager, in the ways that units have for it. */
const SERVICES = [
  ["--uid=nobody", "-p", "NoNewPrivileges=yes", "-p", "PrivateTmp=yes"],
  ["-p", "DynamicUser=yes", "-p", "PrivateUsers=yes"],
  ["--uid=daemon", "-p", "AmbientCapabilities=CAP_NET_RAW", "-p", "CapabilityBoundingSet=CAP_NET_RAW"],
];

const skip = !existsSync(SYSTEMD) && "systemd is not installed";

test("a node boots and starts services without credential drift", { skip }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "trigon-boot-"));
  const policy = join(directory, "policy.yaml");
  await writeFile(policy, POLICY);
  const flags = ["--credential-drift", "--tracing-policy", policy];
  const agent = await startAgent(join(directory, "events.jsonl"), flags);
  const boot = startSystemd();
  const manager = await childOf(boot);
  const inside = (...command: string[]) => run("nsenter", ["-t", manager, "--mount", "--pid", ...command]);

  while (!(await hasBooted(inside))) {
    assert.equal(boot.exitCode, null, "systemd has ended");
    await delay(500);
  }
  for (const properties of SERVICES) await inside("systemd-run", "--wait", ...properties, "true");

  const events = await agent.events();
  const binaries = new Set(events.map(binaryOf));
  assert.ok(binaries.has("/lib/systemd/systemd-journald"), [...binaries].join(" "));
  assert.deepEqual(
    events.filter((event) => "credential_drift" in event),
    [],
  );
  const ended = once(boot, "exit");
  boot.kill("SIGKILL"); // and, by --kill-child, all that it has started
  await ended;
  assert.equal(await agent.stop(), 0, agent.log());
});

function startSystemd(): ChildProcess {
  const fresh = "mount -t tmpfs run /run && mount -t tmpfs tmp /tmp && exec env container=trigon";
  const command = `${fresh} ${SYSTEMD} --system --unit=multi-user.target`;
  return spawn("unshare", [...NAMESPACES, "sh", "-c", command], { stdio: "ignore" });
}

/** Process 1 of the node. */
async function childOf({ pid }: ChildProcess): Promise<string> {
  for (;;) {
    const child = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim();
    if (child !== "") return child;
    await delay(50);
  }
}

/** True when all that was to be started has been, whether or not it works in a guest. */
async function hasBooted(inside: (...command: string[]) => Promise<unknown>): Promise<boolean> {
  const { stdout } = (await inside("systemctl", "is-system-running").catch((failed) => failed)) as {
    stdout?: string;
  };
  return ["running", "degraded"].includes(stdout?.trim() ?? "");
}

function binaryOf({ process_exec }: ExportedEvent): string {
  return (process_exec as { process: { binary: string } } | undefined)?.process.binary ?? "";
}
