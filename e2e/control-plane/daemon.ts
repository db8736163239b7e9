/** A program that runs in the background with its output in a file. */
import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { waitUntil } from "../waiting.ts";

/** How to start a daemon. */
export interface DaemonOptions {
  name: string;
  program: string;
  args: string[];
  /** Appended to on every start. */
  logFile: string;
  environment?: NodeJS.ProcessEnv;
}

/** Can be stopped and started again with the same arguments; the kernel kills it when this process dies. */
export class Daemon {
  readonly name: string;
  readonly #options: DaemonOptions;
  #process: ChildProcess | undefined;
  #exit: Promise<string> = Promise.resolve("not started");
  #exited: string | undefined;

  constructor(options: DaemonOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Resolves when the program runs, which does not mean that it is ready. */
  async start(): Promise<void> {
    const { program, args, logFile, environment } = this.#options;
    const log = await open(logFile, "a");
    const child = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
      stdio: ["ignore", log.fd, log.fd],
      // Ctrl-C in a terminal is for the command that uses the cluster.
      detached: true,
      ...(environment ? { env: environment } : {}),
    });
    this.#process = child;
    this.#exited = undefined;
    this.#exit = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(signal ?? `exit status ${code}`));
      child.once("error", (error) => resolve(error.message));
    });
    void this.#exit.then((reason) => {
      if (this.#process === child) this.#exited = reason;
    });
    await log.close();
  }

  /** Waits until it is ready, as long as it writes to its log; fails when it ends before. */
  async ready(isReady: () => Promise<boolean>): Promise<void> {
    await waitUntil({
      what: `${this.name} ready`,
      probe: isReady,
      state: () => this.log(20),
      alive: () => this.assertRunning(),
      intervalMs: 100,
    });
  }

  /** Ends the program and waits until it is gone; idempotent. */
  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#process?.kill(signal);
    await this.#exit;
    this.#process = undefined;
  }

  /** Throws with the end of the log when the program is no longer there. */
  async assertRunning(): Promise<void> {
    if (this.#exited === undefined) return;
    throw new Error(`${this.name} ended (${this.#exited})\n${await this.log(20)}`);
  }

  /** The last lines of the program's output. */
  async log(lines: number): Promise<string> {
    const text = await readFile(this.#options.logFile, "utf8").catch(() => "");
    return text.trimEnd().split("\n").slice(-lines).join("\n");
  }
}
