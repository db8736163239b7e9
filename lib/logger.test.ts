import { expect, test } from "vitest";
import { errorText, formatText } from "./logger.ts";

const base = { timestamp: "T", level: "info", component: "agent", message: "attached" };

const lines: Record<string, { entry: Record<string, unknown>; want: string }> = {
  "a message alone": { entry: base, want: "T INFO agent: attached" },
  "plain values without quotes": {
    entry: { ...base, policy: "TracingPolicy/a", hooks: 8 },
    want: "T INFO agent: attached policy=TracingPolicy/a hooks=8",
  },
  "values with spaces in quotes": {
    entry: { ...base, reason: "no BTF here" },
    want: 'T INFO agent: attached reason="no BTF here"',
  },
  "objects as JSON in one value": {
    entry: { ...base, counts: { a: 1 } },
    want: 'T INFO agent: attached counts="{\\"a\\":1}"',
  },
};
test.each(Object.entries(lines))("prints %s", (_name, { entry, want }) => {
  expect(formatText(entry)).toBe(want);
});

test("an error is logged with all its causes", () => {
  const error = new Error("attach fentry commit_creds", { cause: new Error("EPERM") });
  expect(errorText(error)).toBe("attach fentry commit_creds: EPERM");
});
