/** Completion in the shells themselves: each is asked what may follow, as it is when someone presses the tab key. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** Scripts that print the words that may follow those in $1, which ends with a blank; $2 is the last of them by the alphabet. */
const SHELLS: Record<string, { args: string[]; script: string }> = {
  bash: {
    args: ["--norc", "-c"],
    script: `
      source <(trigon completion bash)
      source <(trigon completion bash) # as a shell does that is started from one
      COMP_WORDS=($1 "") COMP_LINE=$1
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMP_POINT=\${#COMP_LINE}
      $(complete -p trigon | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
      printf '%s\\n' "\${COMPREPLY[@]}"`,
  },
  fish: { args: ["-c"], script: `trigon completion fish | source; complete -C "$argv[1]"` },
  zsh: {
    args: ["-f", "-c"],
    script: `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; source <(trigon completion zsh); stty columns 200; print re""ady'
      zpty -r shell text '*ready*'
      zpty -w -n shell "$1"$'\\t'
      zpty -r -t shell text '*nothing is like this*'
      for i in {1..100}; do
        zpty -r -t shell more && text+=$more || sleep 0.1
        [[ $text == *$2* ]] && break
      done
      print -r -- $text
      zpty -d shell`,
  },
};

function isThere(shell: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${shell}`]).status === 0;
}

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "trigon-completion-"));
  const program = join(directory, "trigon");
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${import.meta.dirname}/main.ts "$@"\n`);
  chmodSync(program, 0o755);
});
afterAll(() => rmSync(directory, { recursive: true }));

function completions(shell: string, line: string, wanted: string): string {
  const { args, script } = SHELLS[shell] as (typeof SHELLS)[string];
  const env = { ...process.env, HOME: directory, PATH: `${directory}:${process.env.PATH}` };
  const argv = shell === "fish" ? [line, wanted] : [shell, line, wanted];
  return execFileSync(shell, [...args, script, ...argv], { encoding: "utf8", env });
}

const lines: [line: string, wanted: string[]][] = [
  ["trigon ", ["events", "policies", "status", "validate", "explain"]],
  ["trigon policies ", ["list", "add", "delete", "enable", "disable", "mode"]],
  ["trigon tp ", ["list", "add", "delete", "enable", "disable", "mode"]],
  ["trigon events --output ", ["compact", "json"]],
  ["trigon events --event-types ", ["exec", "exit", "kprobe", "lsm", "tracepoint"]],
  ["trigon validate --kernel ", ["5.10", "6.1", "6.12", "latest"]],
];

for (const shell of Object.keys(SHELLS)) {
  describe.skipIf(!isThere(shell))(`${shell} (skipped where it is not installed)`, () => {
    test.each(lines)("completes %j", (line, wanted) => {
      const text = completions(shell, line, wanted.toSorted().at(-1) as string);
      for (const word of wanted) expect(text).toContain(word);
    });
  });
}

describe.skipIf(!isThere("bash"))("bash (skipped where it is not installed)", () => {
  /** What bash makes of these words and the last, which is being typed. */
  const complete = (...words: string[]) => {
    const script = `
      source <(trigon completion bash)
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _trigon
      printf '%s\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${directory}:${process.env.PATH}` };
    const output = execFileSync("bash", ["--norc", "-c", script, "bash", ...words], {
      encoding: "utf8",
      env,
    });
    return output.split("\n").filter((word) => word !== "");
  };

  const cases: Record<string, { words: string[]; want: string[] }> = {
    "a flag's value behind =, which bash takes for a word": {
      words: ["trigon", "events", "--output", "=", "j"],
      want: ["json"],
    },
    "a flag's value behind = where bash does not": {
      words: ["trigon", "events", "--output=j"],
      want: ["--output=json"],
    },
    "a file by itself: nothing is offered in its place": { words: ["trigon", "validate", ""], want: [] },
    "nothing that has been typed is run": {
      words: ["trigon", "events", "--pod", "$(echo json)", "-o", "c"],
      want: ["compact"],
    },
  };
  test.each(Object.entries(cases))("%s", (_name, { words, want }) => {
    expect(complete(...words)).toEqual(want);
  });

  test("offers files where nothing else is known", () => {
    const script = "source <(trigon completion bash); complete -p trigon";
    const env = { ...process.env, PATH: `${directory}:${process.env.PATH}` };
    expect(execFileSync("bash", ["--norc", "-c", script], { encoding: "utf8", env })).toContain("-o default");
  });
});
