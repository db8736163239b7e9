/**
 * `npm run guest` as its callers see it: streams, exit status, signals, and changes to the host's files.
 *
 *   node --test e2e/guest/guest-command.host-test.ts
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { cacheDirectory } from "../cache.mjs";
import { DEFAULT_KERNEL, prepareKernel } from "./kernels.ts";

const CLI = join(import.meta.dirname, "cli.ts");
const scratch = mkdtempSync("/tmp/guest-command-");

/** The first guest on a machine reports the download on stderr. */
before(async () => {
  await prepareKernel(DEFAULT_KERNEL, cacheDirectory(process.env), () => {});
});
after(() => rmSync(scratch, { recursive: true }));

const started: ChildProcess[] = [];
/** Also after a test that ran out of time. Guests end with their command. */
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

interface Result {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

function start(args: string[], cwd = scratch): ChildProcess {
  const child = spawn(process.execPath, [CLI, ...args], { cwd, stdio: ["pipe", "pipe", "pipe"] });
  started.push(child);
  return child;
}

async function end(child: ChildProcess, input: Buffer | string = ""): Promise<Result> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on("error", () => {}).end(input);
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

/** Processes whose ancestor is this process, by the name of their program. */
function descendants(parent = process.pid): string[] {
  const children = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === parent);
  return children.flatMap((pid) => [programOf(pid), ...descendants(Number(pid))]);
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function programOf(pid: string): string {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return "";
  }
}

test("passes the exit status, stdout and stderr through, and nothing else", async () => {
  const { status, stdout, stderr } = await end(start(["--", "sh", "-c", "echo out; echo err >&2; exit 3"]));
  assert.deepEqual(
    { status, stdout: stdout.toString(), stderr },
    { status: 3, stdout: "out\n", stderr: "err\n" },
  );
});

test("passes megabytes of binary data through both ways, to the last byte", async () => {
  const data = randomBytes(3_000_000);
  const { status, stdout } = await end(start(["tee", "/dev/stderr"]), data);
  assert.equal(status, 0);
  assert.ok(stdout.equals(data), `${stdout.length} of ${data.length} bytes`);
});

test("ends with the command, even if processes of it still run", async () => {
  const { status, stdout } = await end(start(["sh", "-c", "sleep 1000 & echo started"]));
  assert.deepEqual({ status, stdout: stdout.toString() }, { status: 0, stdout: "started\n" });
});

test("runs in the same directory; only a share keeps what is written", async () => {
  const script = "pwd; echo lost >lost; echo kept >share/kept";
  const share = mkdtempSync(join(scratch, "share"));
  const args = ["--share", share, "--", "sh", "-c", script.replace("share/", `${share}/`)];
  const { status, stdout } = await end(start(args));
  assert.deepEqual({ status, stdout: stdout.toString() }, { status: 0, stdout: `${scratch}\n` });
  assert.equal(readFileSync(join(share, "kept"), "utf8"), "kept\n");
  assert.ok(!existsSync(join(scratch, "lost")));
});

test("reports a command that does not exist or was killed as a shell does", async () => {
  const missing = await end(start(["/no/such/command"]));
  assert.equal(missing.status, 127, missing.stderr);
  const killed = await end(start(["sh", "-c", "kill -KILL $$"]));
  assert.equal(killed.status, 137, killed.stderr);
});

test("shows the console after a panic", async () => {
  const { status, stderr } = await end(start(["sh", "-c", "echo c >/proc/sysrq-trigger"]));
  assert.equal(status, 125, stderr);
  assert.match(stderr, /Kernel panic - not syncing: sysrq triggered crash/);
});

test("ends a command that takes too long", async () => {
  const { status, stderr } = await end(start(["--timeout", "10", "--", "sleep", "1000"]));
  assert.equal(status, 124, stderr);
  assert.match(stderr, /still running after 10 s/);
});

test("Ctrl-C ends the guest and leaves nothing behind", async () => {
  const child = start(["sh", "-c", "echo up; sleep 1000"]);
  const result = end(child);
  await new Promise((up) => child.stdout?.once("data", up));
  assert.ok(descendants().includes("qemu-system-x86_64"));
  child.kill("SIGINT");
  assert.equal((await result).status, 130);
  assert.deepEqual(descendants(), []);
});

test("refuses unknown options and kernels", async () => {
  const { status, stderr } = await end(start(["--kernel", "4.19", "--", "true"]));
  assert.equal(status, 2);
  assert.match(stderr, /--kernel 4\.19: one of 5\.10, 6\.1, 6\.12, latest/);
});
