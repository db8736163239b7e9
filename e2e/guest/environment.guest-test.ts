/**
 * What every guest promises to the tests in it.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/environment.guest-test.ts
 */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import {
  accessSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { hostname, networkInterfaces, release } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

const PROJECT = resolve(import.meta.dirname, "../..");

const run = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: "utf8" }).trim();
const mounts = () =>
  readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));

test("is root on a kernel of its own, with the project's Node", () => {
  assert.equal(process.getuid?.(), 0);
  assert.equal(hostname(), "guest");
  assert.match(process.version, /^v24\./);
  assert.equal(run("node", "--version"), process.version);
  assert.equal(process.cwd(), PROJECT);
});

test("may write anywhere", () => {
  for (const directory of [PROJECT, "/usr/local/bin", "/etc", "/tmp", "/run", "/dev/shm"]) {
    const file = join(directory, "trigon-guest-was-here");
    writeFileSync(file, "x");
    assert.equal(readFileSync(file, "utf8"), "x");
    rmSync(file);
  }
});

test("has setuid programs that work", () => {
  const program = "/tmp/id";
  run("cp", "/usr/bin/id", program);
  run("chmod", "4755", program);
  assert.equal(run("setpriv", "--reuid=65534", "--clear-groups", program, "-u"), "0");
});

test("creates user namespaces", () => {
  assert.equal(run("unshare", "--user", "--map-root-user", "id", "-u"), "0");
  assert.equal(
    run("setpriv", "--reuid=65534", "--clear-groups", "unshare", "--user", "--map-root-user", "id", "-u"),
    "0",
  );
});

test("has the kernel's BTF and its modules", () => {
  assert.ok(statSync("/sys/kernel/btf/vmlinux").size > 1_000_000);
  accessSync(`/boot/config-${release()}`);
  run("modprobe", "dummy");
  assert.ok(existsSync("/sys/module/dummy"));
});

test("has the file systems that agents read, and none of the host", () => {
  const types = new Map(mounts().map(([, path, type]) => [path, type]));
  const want = {
    "/": "overlay",
    "/proc": "proc",
    "/sys": "sysfs",
    "/dev": "devtmpfs",
    "/dev/pts": "devpts",
    "/dev/shm": "tmpfs",
    "/tmp": "tmpfs",
    "/run": "tmpfs",
    "/sys/fs/cgroup": "cgroup2",
    "/sys/fs/bpf": "bpf",
    "/sys/kernel/tracing": "tracefs",
    "/sys/kernel/debug": "debugfs",
    "/sys/kernel/security": "securityfs",
  };
  assert.deepEqual(Object.fromEntries(Object.keys(want).map((path) => [path, types.get(path)])), want);
  assert.equal(readFileSync("/proc/1/comm", "utf8").trim(), "sh");
});

test("makes cgroups", () => {
  mkdirSync("/sys/fs/cgroup/made-by-test");
  assert.ok(existsSync("/sys/fs/cgroup/made-by-test/cgroup.procs"));
  rmdirSync("/sys/fs/cgroup/made-by-test");
});

test("reaches itself over loopback and no other machine", async () => {
  assert.deepEqual(Object.keys(networkInterfaces()), ["lo"]);
  const server = createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const { port } = server.address() as { port: number };
  const script = `require("net").connect(${port}, "localhost").pipe(process.stdout)`;
  const answer = await new Promise((done) =>
    execFile("node", ["-e", script], (_error, stdout) => done(stdout)),
  );
  server.close();
  assert.equal(answer, "hello");
});
