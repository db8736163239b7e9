/** A client of Tetragon's API that has nothing of ours: grpc-js with a .proto file of its own. */
import { join } from "node:path";
import {
  type Client,
  type ClientReadableStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** An event as the client sees it. */
export interface StreamedEvent {
  /** Name of the field that is set. */
  event: "process_exec" | "process_exit" | "process_kprobe";
  process_exec?: { process: StreamedProcess };
  process_kprobe?: {
    process: StreamedProcess;
    function_name: string;
    args: { int_arg: number }[];
    action: number;
    policy_name: string;
  };
  node_name: string;
}

interface StreamedProcess {
  binary: string;
  pid: { value: number };
}

/** Why a call has failed. */
export interface CallFailure {
  code: number;
  details: string;
}

type Methods = Client &
  Record<string, (request: object, done?: (error: CallFailure | null, answer: never) => void) => unknown>;

/** Calls the services behind a UNIX socket. */
export class ContractClient {
  readonly #client: Methods;

  constructor(socket: string) {
    const file = join(import.meta.dirname, "contract.proto");
    const { tetragon } = loadPackageDefinition(
      loadSync(file, { keepCase: true, longs: Number, defaults: true, oneofs: true }),
    ) as unknown as { tetragon: GrpcObject };
    const Service = tetragon.FineGuidanceSensors as unknown as new (...args: unknown[]) => Methods;
    this.#client = new Service(`unix://${socket}`, credentials.createInsecure());
  }

  /** Rejects with a CallFailure. */
  call<T>(method: string, request: object = {}): Promise<T> {
    const { [method]: send } = this.#client;
    if (!send) throw new Error(`contract.proto has no ${method}`);
    return new Promise((resolve, reject) => {
      send.call(this.#client, request, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }

  /** Opens a stream and collects what it brings; it is active when the promise resolves. */
  async events(request: object = {}): Promise<{ seen: StreamedEvent[]; cancel(): void }> {
    const stream = this.#client.GetEvents?.(request) as ClientReadableStream<StreamedEvent>;
    const seen: StreamedEvent[] = [];
    stream.on("data", (event: StreamedEvent) => seen.push(event)).on("error", () => {});
    await new Promise((resolve) => stream.once("metadata", resolve));
    return { seen, cancel: () => stream.cancel() };
  }

  close(): void {
    this.#client.close();
  }
}
