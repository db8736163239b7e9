/** The gRPC clients that are not ours, in one form: a call with its answer, or a stream whose events are collected. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import type { GrpcClients } from "./programs.ts";

const execute = promisify(execFile);
const SERVICE = "tetragon.FineGuidanceSensors";

/** Anything in the JSON form of protobuf, with the names of the .proto files. */
// biome-ignore lint/suspicious/noExplicitAny: answers and events of every shape
export type Json = any;

/** A stream that is open. */
export interface EventStream {
  /** Events so far. */
  readonly events: readonly Json[];
  /** Resolves when the client has ended. */
  close(): Promise<void>;
}

/** Status of a service that grpc-go's own client of the health service gets; rejects with what it printed. */
export async function checkHealth(clients: GrpcClients, address: string, service: string): Promise<string> {
  return JSON.parse(await run(clients.generated, [address, "health", service])).status;
}

/** The Go client that is generated from proto/. */
export class GeneratedClient {
  readonly #program: string;
  readonly #address: string;

  constructor({ generated }: GrpcClients, socket: string) {
    this.#program = generated;
    this.#address = `unix://${socket}`;
  }

  /** The answer; rejects with what the client printed about the failure. */
  async call(command: string, ...args: string[]): Promise<Json> {
    return JSON.parse(await run(this.#program, [this.#address, command, ...args]));
  }

  /** Resolves when the server has answered; without a request it is the one that tetra sends. */
  async events(request?: object): Promise<EventStream> {
    const json = request === undefined ? [] : [JSON.stringify(request)];
    const child = spawn(this.#program, [this.#address, "getevents", ...json]);
    await waitFor(child, "stderr", /streaming/);
    return collect(child);
  }
}

/** grpcurl, which knows nothing but what server reflection returns. */
export class Grpcurl {
  readonly #program: string;
  readonly #socket: string;

  constructor({ grpcurl }: GrpcClients, socket: string) {
    this.#program = grpcurl;
    this.#socket = socket;
  }

  /** `list` and `describe`. */
  async show(...command: string[]): Promise<string> {
    return run(this.#program, ["-plaintext", "-unix", this.#socket, ...command]);
  }

  /** The answer; rejects with what grpcurl printed about the failure. */
  async call(method: string, request: object = {}, service = SERVICE): Promise<Json> {
    return protoNames(
      JSON.parse(await run(this.#program, [...this.#options(request), `${service}/${method}`])),
    );
  }

  /** Resolves when the server has answered. */
  async events(request: object = {}): Promise<EventStream> {
    const child = spawn(this.#program, ["-v", ...this.#options(request), `${SERVICE}/GetEvents`]);
    const stream = collect(child);
    await waitFor(child, "stdout", /Response headers received/);
    return stream;
  }

  #options(request: object): string[] {
    return ["-plaintext", "-unix", "-d", JSON.stringify(request), this.#socket];
  }
}

/** grpcurl prints names in lowerCamelCase. */
function protoNames(value: Json): Json {
  if (Array.isArray(value)) return value.map(protoNames);
  if (typeof value !== "object" || value === null) return value;
  const snake = (name: string) => name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [snake(name), protoNames(one)]));
}

async function run(program: string, args: string[]): Promise<string> {
  try {
    return (await execute(program, args, { maxBuffer: 64 << 20 })).stdout;
  } catch (error) {
    throw new Error((error as { stderr: string }).stderr.trim());
  }
}

function waitFor(child: ChildProcess, output: "stdout" | "stderr", pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    child[output]?.on("data", (chunk: Buffer) => {
      text += chunk;
      if (pattern.test(text)) resolve();
    });
    child.once("close", () => reject(new Error(`it ended: ${text}`)));
  });
}

/** JSON objects in what the client prints: a line each, or several lines of which the last is a bracket alone. */
function collect(child: ChildProcess): EventStream {
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const events: Json[] = [];
  let object = "";
  const lines = createInterface({ input: child.stdout as Readable });
  lines.on("line", (line) => {
    if (object !== "" || line.startsWith("{")) object += line;
    if (object === "" || !(line === "}" || (line === object && line.endsWith("}")))) return;
    events.push(protoNames(JSON.parse(object)));
    object = "";
  });
  return {
    events,
    close: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
}
