import { expect, test } from "vitest";
import { type Loose, makePolicy, makeProbe, warningsOf } from "../testing/policies.ts";

const chmod = (filter: Loose, call = "sys_fchmodat", index = 2) => ({
  call,
  args: [{ index, type: "int" }],
  selectors: [{ matchArgs: [{ index, ...filter }] }],
});
const lsm = (filter: Loose) =>
  makePolicy({
    lsmhooks: [
      {
        hook: "path_chmod",
        args: [{ index: 1, type: "uint16" }],
        selectors: [{ matchArgs: [{ index: 1, ...filter }] }],
      },
    ],
  });
const of = (...probe: Parameters<typeof chmod>) => makePolicy({ kprobes: [makeProbe(chmod(...probe))] });
const decimal = (value: string, mode: string, position = 0) =>
  `selectors[0].matchArgs[0].values[${position}]: ${value} is decimal, the mode ${mode}: write 0${value} if that mode is meant, else ${mode}`;

test.each([
  ["a mask", of({ operator: "Mask", values: ["4000"] }), decimal("4000", "07640")],
  ["a value", of({ operator: "Equal", values: ["0600", "755"] }), decimal("755", "01363", 1)],
  ["an LSM hook", lsm({ operator: "Mask", values: ["6000"] }), decimal("6000", "013560")],
])("a mode without the 0 of an octal number is warned of: %s", (_name, policy, warning) => {
  expect(warningsOf(policy).map((line) => line.replace(/^spec\.\w+\[0\]\./, ""))).toEqual([warning]);
});

test.each([
  ["octal and hexadecimal numbers", of({ operator: "Mask", values: ["04000", "0x400"] })],
  ["digits that no octal number has", of({ operator: "Equal", values: ["493"] })],
  ["a number that is no mode", of({ operator: "Equal", values: ["4000"] }, "sys_setuid", 0)],
])("no warning is given about %s", (_name, policy) => {
  expect(warningsOf(policy)).toEqual([]);
});
