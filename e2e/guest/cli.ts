/** `npm run guest`: runs a command as root in a guest; stdout, stderr, stdin and the exit status are the command's. */
import { parseArgs } from "node:util";
import { cacheDirectory } from "../cache.mjs";
import { splitCommand } from "../command-line.ts";
import { type Guest, type GuestEnd, startGuest } from "./guest.ts";
import { buildModules } from "./kernel-modules.ts";
import { DEFAULT_KERNEL, isKernelName, KERNEL_NAMES, prepareKernel } from "./kernels.ts";
import type { GuestOptions } from "./options.ts";

const USAGE = `npm run guest -- [OPTIONS] -- COMMAND [ARGUMENT…]

Runs COMMAND as root in a QEMU guest that sees this machine's files, at their own paths, and the project's Node.
Files that it writes stay in the guest. Use \`npm run --silent guest\` to keep npm's own banner out of stdout.

  --kernel NAME     ${KERNEL_NAMES.join(", ")} (default ${DEFAULT_KERNEL})
  --timeout SECONDS end the guest after this time (exit status 124)
  --memory MB       memory of the guest (default 2048)
  --cpus N          processors of the guest (default 2)
  --share DIRECTORY a directory that COMMAND may write to; repeatable
  --test-modules    build the kernel modules of the tests first, for the guest's kernel
  --verbose         show the kernel's console at the end

Exit status: that of COMMAND; 124 after a timeout; 125 if the guest failed; 2 for wrong usage.
`;

const OPTIONS = {
  kernel: { type: "string", default: DEFAULT_KERNEL },
  timeout: { type: "string" },
  memory: { type: "string", default: "2048" },
  cpus: { type: "string", default: "2" },
  share: { type: "string", multiple: true, default: [] as string[] },
  "test-modules": { type: "boolean", default: false },
  verbose: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

process.exitCode = await main(process.argv.slice(2));
// An open stdin would keep the process alive.
process.stdin.unref?.();

async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === "string") return usage(options);
  if (options.testModules) await prepareModules(options);
  const guest = await startGuest(options).catch((error: Error) => {
    tell(error.message);
    return undefined;
  });
  if (!guest) return 125;
  const interrupted = killOnSignal(guest);
  const end = await guest.ended;
  if (options.verbose || end.kind === "failed" || end.kind === "timeout") showConsole(guest);
  return interrupted() ?? exitStatus(end);
}

async function prepareModules({ kernel, cacheDir }: GuestOptions): Promise<void> {
  const prepared = await prepareKernel(kernel, cacheDir, tell);
  // The tests that need one are skipped then, and name it.
  await buildModules(prepared, cacheDir, tell).catch((error: Error) => tell(error.message));
}

function parseOptions(args: string[]): (GuestOptions & { verbose: boolean; testModules: boolean }) | string {
  try {
    const { own, command } = splitCommand(args, OPTIONS);
    const { values } = parseArgs({ args: own, options: OPTIONS });
    if (values.help) return "";
    if (command.length === 0) return "COMMAND is missing";
    if (!isKernelName(values.kernel)) return `--kernel ${values.kernel}: one of ${KERNEL_NAMES.join(", ")}`;
    return {
      kernel: values.kernel,
      cacheDir: cacheDirectory(process.env),
      command,
      cwd: process.cwd(),
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      memoryMb: positive("--memory", values.memory),
      cpus: positive("--cpus", values.cpus),
      shares: values.share.map((path) => ({ hostPath: path, guestPath: path })),
      ...(values.timeout ? { timeoutMs: positive("--timeout", values.timeout) * 1000 } : {}),
      verbose: values.verbose,
      testModules: values["test-modules"],
      progress: tell,
    };
  } catch (error) {
    return (error as Error).message;
  }
}

function positive(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${option} ${text}: a positive whole number is needed`);
  return Number(text);
}

function usage(problem: string): number {
  if (problem) tell(`${problem}\n`);
  process.stderr.write(USAGE);
  return problem ? 2 : 0;
}

/** Returns the exit status after a signal, as a shell reports it. */
function killOnSignal(guest: Guest): () => number | undefined {
  let status: number | undefined;
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.on(signal, () => {
      status = 128 + number;
      void guest.kill();
    });
  }
  return () => status;
}

function exitStatus(end: GuestEnd): number {
  if (end.kind === "exited") return end.status;
  if (end.kind === "killed") return 130;
  tell(end.message);
  return end.kind === "timeout" ? 124 : 125;
}

function showConsole(guest: Guest): void {
  process.stderr.write(`--- console of the guest (kernel ${guest.kernel.release}), last lines ---\n`);
  process.stderr.write(`${guest.console().trimEnd().split("\n").slice(-60).join("\n")}\n---\n`);
}

function tell(line: string): void {
  process.stderr.write(`guest: ${line}\n`);
}
