import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TestReport } from "./protocol.ts";
import { nodeTestArguments, runTestProcess } from "./run-tests.ts";

test("a test process that does not end is ended, and that counts as a failure", async () => {
  const directory = await mkdtemp(join(tmpdir(), "run-tests-"));
  const file = join(directory, "endless.test.mjs");
  await writeFile(file, `import test from "node:test"; test("ends", () => {}); setInterval(() => {}, 1000);`);
  const reports: TestReport[] = [];
  const context = {
    report: (report: TestReport) => void reports.push(report),
    leaveOut: () => {},
    log: () => {},
    allKernels: false,
    progress: () => {},
    signal: new AbortController().signal,
    environment: process.env,
    cacheDir: directory,
  };
  const args = nodeTestArguments([file]);
  const run = runTestProcess(context, { program: process.execPath, args, silenceMs: 10_000 });
  await expect(run).rejects.toThrow("the test process printed nothing for 10 s and was ended");
  expect(reports).toMatchObject([{ name: "ends", state: "passed" }]);
  await rm(directory, { recursive: true });
});
