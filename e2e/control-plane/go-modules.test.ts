import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cachePath, KUBERNETES_MINOR, KUBERNETES_MODULE } from "./go-modules.mjs";

const directory = mkdtempSync(join(tmpdir(), "trigon-go-modules-"));
afterAll(() => rmSync(directory, { recursive: true }));

const files = ["go.mod", "go.sum", "build.sh", "servers/main.go"];
test.each(files)("a program that was built from another %s is not used", (file) => {
  const module = { ...KUBERNETES_MODULE, directory: join(directory, String(files.indexOf(file))) };
  cpSync(KUBERNETES_MODULE.directory, module.directory, { recursive: true });
  const before = cachePath(module, process.env);
  expect(before).toBe(cachePath(KUBERNETES_MODULE, process.env));
  writeFileSync(join(module.directory, file), "something else");
  expect(cachePath(module, process.env)).not.toBe(before);
});

test("a program that was built with other flags is not used", () => {
  const module = { ...KUBERNETES_MODULE, tags: "selinux" };
  expect(cachePath(module, process.env)).not.toBe(cachePath(KUBERNETES_MODULE, process.env));
});

test("the version is written as Kubernetes does", () => {
  expect(KUBERNETES_MINOR).toMatch(/^1\.\d+$/);
  expect(KUBERNETES_MODULE.version).toContain(`gitVersion=v${KUBERNETES_MINOR}.`);
});
