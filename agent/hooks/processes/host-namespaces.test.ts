import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NamespaceName } from "../../../crds/linux.ts";
import { hostNamespace, parseNamespaceLink } from "./host-namespaces.ts";

const SELF = pathToFileURL(join(import.meta.dirname, "host-namespaces.ts")).href;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "namespaces-"));
  mkdirSync(join(directory, "1/ns"), { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

test("a namespace's number is read from its link", () => {
  expect(parseNamespaceLink("pid:[4026531836]")).toBe(4_026_531_836);
  expect(parseNamespaceLink("/somewhere")).toBeUndefined();
  symlinkSync("uts:[7]", join(directory, "1/ns/uts"));
  expect(hostNamespace(directory, "Uts")).toBe(7);
});

test("a missing link, or one that is not to a namespace, is refused with a reason", () => {
  expect(() => hostNamespace(directory, "Pid")).toThrow(
    /^host_ns of namespace Pid: read .*\/1\/ns\/pid: ENOENT$/,
  );
  symlinkSync("/somewhere", join(directory, "1/ns/ipc"));
  expect(() => hostNamespace(directory, "Ipc")).toThrow(
    /^host_ns of namespace Ipc: read .*: \/somewhere is not a namespace$/,
  );
});

/** A procfs whose process 1 must not be examined, because it has capabilities that the reader lacks. */
function readForbidden(name: NamespaceName): string {
  const code = `
    import { hostNamespace } from ${JSON.stringify(SELF)};
    try { console.log(hostNamespace("/proc", ${JSON.stringify(name)})); }
    catch (error) { console.log(error.reason + " " + error.message); }`;
  const program = [process.execPath, "--input-type=module", "--eval", code];
  const asRoot = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", ...program];
  const [command = "", ...args] = process.getuid?.() === 0 ? asRoot : program;
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.trim();
}

test("without access to process 1, its pid namespace is still found by its pid", () => {
  expect(`pid:[${readForbidden("Pid")}]`).toBe(readlinkSync("/proc/self/ns/pid"));
});

test("without access to process 1, the error names the capabilities that are needed", () => {
  expect(readForbidden("User")).toBe(
    "AttachFailed host_ns of namespace User: read /proc/1/ns/user: EACCES (needs CAP_SYS_PTRACE, and every capability of process 1)",
  );
});
