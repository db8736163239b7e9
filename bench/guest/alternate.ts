/**
 * Runs in a guest: `node alternate.ts ROUNDS COMMANDS`. Runs commands, given as JSON `{name, cwd, command}[]`, one after
 * the other and that in rounds, so that what changes with time meets all of them. Passes on their lines of JSON, with
 * `checkout` added.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

interface Command {
  name: string;
  cwd: string;
  command: string[];
}

const [rounds, commands] = process.argv.slice(2);
const all = JSON.parse(commands ?? "[]") as Command[];

for (let round = 0; round < Number(rounds); round++) {
  for (const { name, cwd, command } of all) {
    const [program = "", ...args] = command;
    const { stdout } = await promisify(execFile)(program, args, { cwd, maxBuffer: 1 << 26 });
    for (const line of stdout.trim().split("\n")) {
      console.log(JSON.stringify({ ...JSON.parse(line), checkout: name }));
    }
  }
}
