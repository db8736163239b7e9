import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { runAgent } from "./agent-process.ts";

const EXAMPLES = resolve(import.meta.dirname, "../../crds/examples");

test("without a policy that compiles the agent ends with status 1 and names file, line and field", async () => {
  const { status, stderr, stdout } = await runAgent([
    "--tracing-policy",
    join(EXAMPLES, "invalid/wrong-argument-type.yaml"),
  ]);
  expect(status).toBe(1);
  expect(stderr).toMatch(/invalid\/wrong-argument-type\.yaml:\d+:\d+: spec\.kprobes\[0\]\.args\[0\]\.type: /);
  expect(stdout).toBe("");
});

test("with a wrong flag the agent ends with status 2", async () => {
  const { status, stderr } = await runAgent([
    "--tracing-polcy",
    join(EXAMPLES, "valid/process-creds-installed.yaml"),
  ]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/--tracing-polcy/);
});
