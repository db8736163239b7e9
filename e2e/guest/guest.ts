/**
 * Runs a command as root in a QEMU guest that sees this machine's files at their own paths. Writes stay in the guest.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { Console } from "./console.ts";
import { prepareInitramfs } from "./initramfs.ts";
import { type Kernel, prepareKernel } from "./kernels.ts";
import type { GuestOptions } from "./options.ts";
import { Port } from "./ports.ts";
import { qemuArguments } from "./qemu.ts";
import { sessionScript } from "./session.ts";

const PROJECT = resolve(import.meta.dirname, "../..");

/** How a guest ended: `exited` is the command's own status, `failed` everything else. */
export type GuestEnd =
  | { kind: "exited"; status: number }
  | { kind: "killed" }
  | { kind: "timeout"; message: string }
  | { kind: "failed"; message: string };

/** A guest that was started. */
export interface Guest {
  readonly kernel: Kernel;
  /** Settles when the command starts: the guest runs and its setup is done. Never settles if the setup fails. */
  readonly started: Promise<void>;
  /** Settles when the guest has ended and all of its output has been passed on; never rejects. */
  readonly ended: Promise<GuestEnd>;
  /** The end of the console output of kernel and setup. */
  console(): string;
  /** Ends the guest at once; idempotent. */
  kill(): Promise<void>;
}

/** Fetches the kernel if needed and starts the guest; rejects when QEMU cannot be started at all. */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const kernel = await prepareKernel(options.kernel, options.cacheDir, options.progress ?? (() => {}));
  const initramfs = await prepareInitramfs(kernel);
  const session = await mkdtemp("/tmp/trigon-guest-");
  try {
    const boot = { kernelImage: kernel.image, initramfs, session };
    const marker = `end-of-stream-${randomBytes(24).toString("hex")}`;
    await writeSession(session, kernel, options, marker);
    const ports = await openPorts(session);
    const paths = mapPorts(ports, (port) => port.path);
    const qemu = await startQemu(qemuArguments({ ...boot, ports: paths }, options), options.launcher ?? []);
    return new RunningGuest(kernel, qemu, ports, session, marker, options);
  } catch (error) {
    await rm(session, { recursive: true, force: true });
    throw error;
  }
}

type Ports = Record<"stdin" | "stdout" | "stderr" | "control", Port>;

function mapPorts<T>({ stdin, stdout, stderr, control }: Ports, map: (port: Port) => T) {
  return { stdin: map(stdin), stdout: map(stdout), stderr: map(stderr), control: map(control) };
}

async function openPorts(directory: string): Promise<Ports> {
  const open = (name: string) => Port.listen(join(directory, `${name}.socket`));
  return {
    stdin: await open("stdin"),
    stdout: await open("stdout"),
    stderr: await open("stderr"),
    control: await open("control"),
  };
}

/** The guest copies the whole `files` directory. */
async function writeSession(
  session: string,
  kernel: Kernel,
  options: GuestOptions,
  marker: string,
): Promise<void> {
  const modules = await realpath(kernel.root);
  const cwd = options.cwd ?? PROJECT;
  const directory = join(session, "files");
  await mkdir(directory);
  await writeFile(join(directory, "session.sh"), sessionScript({ ...options, cwd }, PROJECT, marker));
  await writeFile(join(directory, "modules"), `${modules}\n`);
  await writeFile(join(directory, "config"), `${join(modules, kernel.config)}\n`);
  await writeFile(
    join(directory, "keep"),
    keptPaths([PROJECT, cwd, modules, ...(options.keep ?? [])])
      .map((path) => `${path}\n`)
      .join(""),
  );
}

/** The paths below /tmp and /run, which are fresh in the guest, without paths inside others. */
export function keptPaths(paths: string[]): string[] {
  const hidden = [...new Set(paths)].filter((path) => /^\/(tmp|run)\/./.test(path));
  return hidden.filter((path) => !hidden.some((other) => path.startsWith(`${other}/`)));
}

/** The kernel kills QEMU when this process dies, however it dies. */
async function startQemu(args: string[], launcher: string[]): Promise<ChildProcess> {
  const [program = "", ...rest] = [
    ...launcher,
    "setpriv",
    "--pdeathsig",
    "KILL",
    "qemu-system-x86_64",
    ...args,
  ];
  const qemu = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    qemu.once("spawn", resolve);
    qemu.once("error", (cause) => reject(new Error(`start ${program}: ${cause.message}`, { cause })));
  });
  return qemu;
}

class RunningGuest implements Guest {
  readonly kernel: Kernel;
  readonly started: Promise<void>;
  readonly ended: Promise<GuestEnd>;
  readonly #console = new Console();
  readonly #qemu: ChildProcess;
  #end: GuestEnd | undefined;

  constructor(
    kernel: Kernel,
    qemu: ChildProcess,
    ports: Ports,
    session: string,
    marker: string,
    options: GuestOptions,
  ) {
    this.kernel = kernel;
    this.#qemu = qemu;
    this.#console.read(qemu.stdout as Readable);
    this.#console.read(qemu.stderr as Readable);
    const gone = new Promise<string>((resolve) =>
      qemu.once("close", (...how) => resolve(describeEnd(...how))),
    );
    const output = Promise.all([
      ports.stdout.copyTo(options.stdout, marker),
      ports.stderr.copyTo(options.stderr, marker),
    ]);
    this.started = this.#watchControl(ports.control, output);
    void forwardStdin(ports.stdin, options.stdin);
    const timer = this.#limit(options.timeoutMs);
    this.ended = gone.then(async (how) => {
      clearTimeout(timer);
      options.stdin?.unpipe();
      mapPorts(ports, (port) => port.close());
      await rm(session, { recursive: true, force: true });
      return this.#end ?? { kind: "failed", message: `the guest ended before the command did: ${how}` };
    });
  }

  console(): string {
    return this.#console.tail();
  }

  async kill(): Promise<void> {
    this.#finish({ kind: "killed" });
    await this.ended;
  }

  /** Kills QEMU: when the command has ended, nothing needs a clean shutdown. */
  #finish(end: GuestEnd): void {
    this.#end ??= end;
    this.#qemu.kill("SIGKILL");
  }

  #watchControl(control: Port, output: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      void control.onLine((line) => {
        if (line === "started") resolve();
        const status = /^exit (\d+)$/.exec(line)?.[1];
        if (status) void output.then(() => this.#finish({ kind: "exited", status: Number(status) }));
      });
    });
  }

  #limit(timeoutMs: number | undefined): NodeJS.Timeout | undefined {
    if (timeoutMs === undefined) return undefined;
    const message = `the command was still running after ${timeoutMs / 1000} s`;
    return setTimeout(() => this.#finish({ kind: "timeout", message }), timeoutMs);
  }
}

function describeEnd(status: number | null, signal: NodeJS.Signals | null): string {
  if (signal) return `QEMU was killed (${signal})`;
  return status === 0 ? "power off, reboot or panic" : `QEMU ended with status ${status}`;
}

/** The guest sees the end of stdin when the host's end of the port is closed. */
async function forwardStdin(port: Port, stdin: Readable | undefined): Promise<void> {
  const socket = await port.connected;
  socket.on("error", () => {});
  stdin?.pipe(socket);
}
