/** Compiles small policies at once, and large ones in a thread, so that the main thread keeps answering. */
import { Worker } from "node:worker_threads";
import { type Compile, type Compiled, compileAndEncode } from "./compiled.ts";

/** How a compiler works. */
export interface CompilerOptions {
  /** The program of the thread: compiler-thread.ts. */
  program: URL;
  /** Policies with a longer JSON are compiled in the thread. */
  inlineChars?: number;
  /** The thread ends after this time without work, and its memory is free again. */
  idleMs?: number;
}

/** A compiler with a thread that can be ended. */
export interface Compiler {
  compile: Compile;
  /** Rejects what is being compiled in the thread. */
  close(): Promise<void>;
}

/** Takes at most some 20 ms to compile. */
const INLINE_CHARS = 32 << 10;
const IDLE_MS = 30_000;
const STOPS = "the operator stops";
/** The largest policies need a third of it. */
const MEMORY_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 };

/** A policy that waits for its turn in the thread, or is compiled there. */
interface Job {
  json: string;
  result: PromiseWithResolvers<Compiled>;
}

/** Makes a compiler; its thread starts with the first large policy. */
export function makeCompiler({
  program,
  inlineChars = INLINE_CHARS,
  idleMs = IDLE_MS,
}: CompilerOptions): Compiler {
  const thread = new CompilerThread(program, idleMs);
  return {
    compile: async (policy) => {
      const json = JSON.stringify(policy) ?? "";
      return json.length <= inlineChars ? compileAndEncode(policy) : thread.compile(json);
    },
    close: () => thread.close(),
  };
}

/** One thread, one policy at a time, in the order in which they come. */
class CompilerThread {
  readonly #program: URL;
  readonly #idleMs: number;
  readonly #waiting: Job[] = [];
  #current: Job | undefined;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(program: URL, idleMs: number) {
    this.#program = program;
    this.#idleMs = idleMs;
  }

  compile(json: string): Promise<Compiled> {
    if (this.#isClosed) return Promise.reject(new Error(STOPS));
    const job = { json, result: Promise.withResolvers<Compiled>() };
    this.#waiting.push(job);
    this.#next();
    return job.result.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
    this.#rejectAll(new Error(STOPS));
  }

  #next(): void {
    if (this.#current !== undefined) return;
    clearTimeout(this.#idle);
    this.#current = this.#waiting.shift();
    if (this.#current !== undefined) this.#running().postMessage(this.#current.json);
    else this.#idle = setTimeout(() => void this.#end(), this.#idleMs).unref();
  }

  #running(): Worker {
    this.#worker ??= this.#start();
    return this.#worker;
  }

  #start(): Worker {
    const worker = new Worker(this.#program, { name: "compiler", resourceLimits: MEMORY_LIMITS });
    worker.unref();
    worker.on("message", (compiled: Compiled) => {
      this.#current?.result.resolve(compiled);
      this.#current = undefined;
      this.#next();
    });
    worker.on("error", (error) => this.#failed(worker, error));
    worker.on("exit", (code) => this.#failed(worker, new Error(`exit code ${code}`)));
    return worker;
  }

  /** A policy that ends the thread fails alone; the next one gets a new thread. */
  #failed(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#current?.result.reject(new Error("the compiler's thread ended", { cause }));
    this.#current = undefined;
    this.#next();
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    await worker.terminate();
  }

  #rejectAll(reason: Error): void {
    for (const { result } of [...(this.#current ? [this.#current] : []), ...this.#waiting.splice(0)])
      result.reject(reason);
    this.#current = undefined;
  }
}
