import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cachePath, KUBERNETES_MODULE } from "./control-plane/go-modules.mjs";
import { policyNames } from "./policy-files.ts";
import { waitUntil } from "./waiting.ts";

const EXAMPLES = join(import.meta.dirname, "../crds/examples");
const INVALID = `${EXAMPLES}/invalid/unknown-capability.yaml`;
const directory = mkdtempSync(join(tmpdir(), "trigon-commands-"));
afterAll(() => rmSync(directory, { recursive: true }));

const cases: Record<string, { line: string[]; status: number; prints: RegExp }> = {
  "npm test with an option that it does not have": {
    line: ["test.ts", "--bogus"],
    status: 2,
    prints: /^no suite is called --bogus\n\nnpm test/,
  },
  "npm test with a suite that does not exist": {
    line: ["test.ts", "no such suite"],
    status: 2,
    prints: /^no suite is called no such suite\n/,
  },
  "npm run e2e without a cluster": {
    line: ["on-cluster.ts", "--kubeconfig", ""],
    status: 2,
    prints: /^e2e: --kubeconfig is missing, and KUBECONFIG is not set\n\nnpm run e2e/,
  },
  "npm run e2e with an image that is none": {
    line: ["on-cluster.ts", "--kubeconfig", "MISSING", "--image", "trigon"],
    status: 2,
    prints: /^e2e: --image: "trigon" is not REPOSITORY:TAG/,
  },
  "quickstart with a policy that is invalid": {
    line: ["quickstart.ts", "--policy", INVALID],
    status: 1,
    prints: /unknown-capability\.yaml:\d+:\d+: .* did you mean "CAP_SYS_ADMIN"/,
  },
  "quickstart with a policy that does not exist": {
    line: ["quickstart.ts", "--policy", "MISSING"],
    status: 1,
    prints: /^quickstart: \/.*MISSING: ENOENT/,
  },
  "quickstart with a directory": {
    line: ["quickstart.ts", "--policy", directory],
    status: 1,
    prints: /^quickstart: .*EISDIR/,
  },
};

test.each(Object.entries(cases))(
  "%s is refused before anything starts",
  (_name, { line, status, prints }) => {
    const args = [join(import.meta.dirname, line[0] ?? ""), ...line.slice(1)];
    const ended = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 50_000 });
    expect(ended).toMatchObject({ status, stderr: expect.stringMatching(prints) as string });
  },
);

const installed = spawnSync("dpkg-query", ["--show", "qemu-system-x86", "mmdebstrap", "clang"]).status === 0;

test.skipIf(!installed)("npm run quickstart starts where Kubernetes was never built", async () => {
  const bootstrap = join(import.meta.dirname, "bootstrap.mjs");
  const cache = join(directory, "empty");
  const env = { ...process.env, TRIGON_CACHE: cache, KUBEBUILDER_ASSETS: "" };
  const line = [bootstrap, "quickstart", "--policy", "MISSING"];
  const ended = spawnSync(process.execPath, line, { encoding: "utf8", timeout: 50_000, env });
  expect(ended).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/quickstart: \/.*MISSING/) as string,
  });
  const lock = `${cachePath(KUBERNETES_MODULE, env)}.lock`;
  expect(existsSync(lock)).toBe(true);
  // Compilers that run end what they have begun.
  const isFree = () => spawnSync("flock", ["--nonblock", lock, "true"]).status === 0;
  await waitUntil({
    what: "the end of the build",
    probe: async () => isFree(),
    state: async () => "",
    intervalMs: 100,
  });
});

test("a file may hold several policies", async () => {
  const file = join(directory, "two.yaml");
  const one = readFileSync(`${EXAMPLES}/valid/process-creds-installed.yaml`, "utf8");
  writeFileSync(file, `${one}---\n${one.replace("process-creds-changed", "second")}`);
  expect(await policyNames(file)).toEqual(["process-creds-changed", "second"]);
});
