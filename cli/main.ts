/** The command line: finds the subcommand, runs it, ends with its exit status. */
import { readFile } from "node:fs/promises";
import { validate } from "./validate.ts";

const HELP = `trigon: watches who changes Linux process credentials

Usage:
  trigon validate FILE|DIRECTORY|- ...   check policies before they reach a cluster
  trigon COMMAND --help                  more about a command
  trigon --version
`;

const USAGE = 2;

async function run(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case "validate":
      return validate(rest, { out: write(process.stdout), err: write(process.stderr), stdin: readStdin });
    case "--version":
      process.stdout.write(`${await version()}\n`);
      return 0;
    case "help":
    case "-h":
    case "--help":
      process.stdout.write(HELP);
      return 0;
    default:
      process.stderr.write(command === undefined ? HELP : `trigon: unknown command ${command}\n\n${HELP}`);
      return USAGE;
  }
}

function write(stream: NodeJS.WriteStream): (line: string) => void {
  return (line) => {
    stream.write(`${line}\n`);
  };
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function version(): Promise<string> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** `trigon validate DIR | head` closes the pipe early: that is no failure of ours. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(process.exitCode ?? 0);
});

process.exitCode = await run(process.argv.slice(2));
