import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { flagNames } from "./flags.ts";
import { parseCgroup, parseStat } from "./proc-files.ts";
import { ProcScanner } from "./scan.ts";

const procfs = mkdtempSync(join(tmpdir(), "procfs-"));
afterAll(() => rmSync(procfs, { recursive: true }));

interface FakeProcess {
  pid: number;
  stat: string;
  status?: string;
  cmdline?: string;
  exe?: string;
  cwd?: string;
  cgroup?: string;
  loginuid?: string;
  pidNamespace?: number;
  label?: string;
}

function add(process: FakeProcess): void {
  const directory = join(procfs, String(process.pid));
  mkdirSync(join(directory, "ns"), { recursive: true });
  writeFileSync(join(directory, "stat"), process.stat);
  writeFileSync(join(directory, "status"), process.status ?? "");
  writeFileSync(join(directory, "cmdline"), process.cmdline ?? "");
  writeFileSync(join(directory, "cgroup"), process.cgroup ?? "0::/\n");
  if (process.loginuid !== undefined) writeFileSync(join(directory, "loginuid"), process.loginuid);
  if (process.label !== undefined) {
    mkdirSync(join(directory, "attr"));
    writeFileSync(join(directory, "attr", "current"), process.label);
  }
  if (process.exe !== undefined) symlinkSync(process.exe, join(directory, "exe"));
  if (process.cwd !== undefined) symlinkSync(process.cwd, join(directory, "cwd"));
  symlinkSync(`pid:[${process.pidNamespace ?? 4026531836}]`, join(directory, "ns", "pid"));
}

/** A stat line: flags is field 9, threads field 20, start field 22. */
function stat(
  pid: number,
  comm: string,
  parent: number,
  start: number,
  changes: { state?: string; flags?: number } = {},
) {
  const { state = "S", flags = 4194304 } = changes;
  return `${pid} (${comm}) ${state} ${parent} ${pid} ${pid} 0 -1 ${flags} 0 0 0 0 0 0 0 0 20 0 1 0 ${start} 0 0 18446744073709551615`;
}

const id = "c".repeat(64);
add({
  pid: 1,
  stat: stat(1, "systemd", 0, 50),
  status: "Uid:\t0\t0\t0\t0\nNSpid:\t1\n",
  cmdline: "/sbin/init\0splash\0",
  label: "unconfined\n",
  exe: "/usr/lib/systemd/systemd",
  cwd: "/",
});
add({
  pid: 2,
  stat: stat(2, "kthreadd", 0, 50, { flags: 2129984 }),
  status: "Uid:\t0\t0\t0\t0\nNSpid:\t2\n",
  cwd: "/",
});
add({
  pid: 300,
  stat: stat(300, "a) S (b", 40, 1492),
  status:
    "Uid:\t1000\t0\t0\t0\nGid:\t5\t6\t7\t8\nNSpid:\t300\t1\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000000001\n",
  cmdline: "/opt/app\0--name\0two words\0",
  exe: "/opt/app (deleted)",
  cwd: "/data",
  cgroup: `0::/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789abc.slice/cri-containerd-${id}.scope\n`,
  loginuid: "1000\n",
  pidNamespace: 77,
});
add({
  pid: 40,
  stat: stat(40, "shim", 1, 1000),
  status: "Uid:\t0\t0\t0\t0\nNSpid:\t40\n",
  cmdline: "shim\0",
  label: "system_u:system_r:container_runtime_t:s0\0",
  exe: "/bin/shim",
  cwd: "/",
});
add({ pid: 41, stat: stat(41, "dead", 40, 1000, { state: "Z" }) });
mkdirSync(join(procfs, "999")); // has vanished after readdir
mkdirSync(join(procfs, "sys"));

const processes = new ProcScanner(procfs, { credentials: true, namespaces: true }).scan();
const find = (pid: number) => processes.find((process) => process.pid === pid);

test("lists live processes, parents before their children", () => {
  expect(processes.map(({ pid }) => pid)).toEqual([1, 2, 40, 300]);
});

test("shows a process in a container with everything that is known", () => {
  const process = find(300);
  expect(process).toMatchObject({ parentPid: 40, startNs: 14_920_000_000n, exe: "/opt/app" });
  expect(process?.facts).toMatchObject({
    uid: 0,
    auid: 1000,
    cwd: "/data",
    binary: "/opt/app",
    arguments: '--name "two words"',
    nspid: 1,
    inInitTree: true,
    container: { id, runtime: "containerd", podUid: "12345678-1234-1234-1234-123456789abc" },
    credentials: { uid: 1000, euid: 0, gid: 5, fsgid: 8, permitted: [0xffffffff, 0x1ff], effective: [1, 0] },
    namespaces: { pid: 77, user: 0 },
  });
  expect(flagNames(process?.facts.flags ?? 0)).toBe("procFS");
});

test("shows kernel threads by name in brackets", () => {
  expect(find(2)?.facts).toMatchObject({ binary: "[kthreadd]", arguments: "", auid: 4294967295 });
  expect(find(2)?.exe).toBe("");
});

test("pid 1 of the host is in no init tree; its working directory is the root", () => {
  expect(find(1)?.facts.inInitTree).toBe(false);
  expect(flagNames(find(1)?.facts.flags ?? 0)).toBe("procFS rootcwd");
});

test("tells a process from its successor by the start", () => {
  const scanner = new ProcScanner(procfs);
  expect(scanner.isAlive(300, 14_920_000_000n)).toBe(true);
  expect(scanner.isAlive(300, 14_930_000_000n)).toBe(false);
  expect(scanner.isAlive(41, 10_000_000_000n)).toBe(false);
  expect(scanner.isAlive(12345, 0n)).toBe(false);
});

test.each([
  ["AppArmor", 1, "unconfined"],
  ["SELinux", 40, "system_u:system_r:container_runtime_t:s0"],
  ["no security module", 300, undefined],
])("the label of %s, only when it is asked for", (_name, pid, want) => {
  const labelled = new ProcScanner(procfs, { securityLabels: true });
  expect(labelled.securityLabel(pid)).toBe(want);
  expect(labelled.read(pid)?.facts.securityLabel).toBe(want);
  expect(new ProcScanner(procfs).securityLabel(pid)).toBeUndefined();
  expect(find(pid)?.facts.securityLabel).toBeUndefined();
});

test("reads the real /proc", () => {
  const self = new ProcScanner("/proc", { credentials: true, namespaces: true }).read(process.pid);
  expect(self?.facts.binary).toBe(process.execPath);
  expect(self?.facts.cwd).toBe(process.cwd());
  expect(self?.facts.namespaces?.mnt).toBeGreaterThan(0);
  expect(new ProcScanner("/proc").isAlive(process.pid, self?.startNs ?? 0n)).toBe(true);
});

test("a text that is no stat line is nothing", () => {
  expect(parseStat("")).toBeUndefined();
  expect(parseStat("12 (short) S 1")).toBeUndefined();
});

test.each([
  ["0::/a/b\n", "a/b"],
  ["12:pids:/x/y/z\n0::/\n", "x/y/z"],
  ["1:name=systemd:/docker/abc\n", "docker/abc"],
])("takes the cgroup from %j", (text, want) => {
  expect(parseCgroup(text)).toBe(want);
});

test.each([
  ["is no procfs", join(procfs, "1")],
  ["is not there", "/missing"],
])("a directory that %s is not taken for one", (_, directory) => {
  expect(() => new ProcScanner(directory).scan()).toThrow(
    `--procfs ${directory}: no processes there; where is the procfs of the host mounted?`,
  );
});
