import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KERNEL_NAMES } from "../guest/kernels.ts";
import { SUITES } from "../suites.ts";
import { filesOn, kernelsOf } from "./kernel-choice.ts";
import { findTests, PROJECT } from "./run-tests.ts";

const comment = (line: string) => `/**\n * What is tested.\n${line}\n */\nimport "node:test";\n`;
const FILES = findTests("e2e/guest/*.guest-test.ts");

describe("the kernels of a test file", () => {
  test("are all if it names none", () => {
    expect(kernelsOf(comment(" *"))).toEqual(KERNEL_NAMES);
  });

  test("are those that it names", () => {
    expect(kernelsOf(comment(" * @kernels 5.10, latest: all others do the same"))).toEqual([
      "5.10",
      "latest",
    ]);
    expect(kernelsOf(comment(" * @kernels 6.12: it needs one"))).toEqual(["6.12"]);
  });

  test.each([
    [" * @kernels 5.10, 4.19: REASON", /there is no kernel 4\.19: a line " \* @kernels 5\.10/],
    [" * @kernels 5.10 latest: REASON", /there is no kernel 5\.10 latest/],
    [" * @kernels 5.10, latest", /it names no kernel/],
    [" * @kernels 5.10, latest: ", /it names no kernel/],
    ["// @kernels 5.10: REASON", /it names no kernel/],
  ])("%j is refused", (line, message) => {
    expect(() => kernelsOf(comment(line))).toThrow(message);
  });
});

test("each file runs on the kernels that it names, and is left out on the others", () => {
  for (const kernel of KERNEL_NAMES) {
    const { run, leftOut } = filesOn(kernel, FILES);
    expect([...run, ...leftOut].sort()).toEqual(FILES);
    expect(run).toContain("e2e/guest/addon.guest-test.ts");
  }
  const file = "e2e/guest/hook-selectors.guest-test.ts";
  expect(KERNEL_NAMES.filter((kernel) => filesOn(kernel, [file]).run.length > 0)).toEqual(["5.10", "latest"]);
});

test("there is a suite for each kernel", () => {
  const names = SUITES.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(KERNEL_NAMES.map((kernel) => `kernel ${kernel}`)));
});

test("a file that cannot be chosen for is named", () => {
  expect(() => filesOn("6.1", ["e2e/runner/kernel-choice.test.ts"])).toThrow(
    /^e2e\/runner\/kernel-choice\.test\.ts: it names no kernel/,
  );
});

test("no file is left without the oldest kernel and a newer one, whose verifiers accept different programs", () => {
  for (const file of FILES) {
    const [oldest, ...newer] = kernelsOf(readFileSync(join(PROJECT, file), "utf8"));
    expect(oldest, file).toBe(KERNEL_NAMES[0]);
    expect(newer.length, file).toBeGreaterThan(0);
  }
});
