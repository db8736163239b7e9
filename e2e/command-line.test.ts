import { expect, test } from "vitest";
import { splitCommand } from "./command-line.ts";

const OPTIONS = { kernel: { type: "string" }, verbose: { type: "boolean" } } as const;

const cases: Record<string, { args: string[]; own: string[]; command: string[] }> = {
  "a terminator begins the command": {
    args: ["--kernel", "6.1", "--", "ls", "-l"],
    own: ["--kernel", "6.1"],
    command: ["ls", "-l"],
  },
  "without a terminator, the first word that is not an option begins it": {
    args: ["--verbose", "--kernel", "6.1", "ls", "--verbose", "--", "x"],
    own: ["--verbose", "--kernel", "6.1"],
    command: ["ls", "--verbose", "--", "x"],
  },
  "options of the command are passed on": {
    args: ["sh", "-c", "exit 3"],
    own: [],
    command: ["sh", "-c", "exit 3"],
  },
  "there may be no command": { args: ["--verbose"], own: ["--verbose"], command: [] },
};

test.each(Object.entries(cases))("%s", (_name, { args, own, command }) => {
  expect(splitCommand(args, OPTIONS)).toEqual({ own, command });
});
