/** A client of the agent's gRPC API over the messages of proto/; requests and answers have the JSON form of protobuf. */
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { type CallOptions, Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { registry, serviceType } from "../proto/descriptors.ts";
import type { Connection } from "./connection.ts";

const SERVICE = "tetragon.FineGuidanceSensors";
const MAX_ANSWER_BYTES = 10 << 20;

/** A call that failed; the message is what the agent answered, or how it was to be reached. */
export class CallFailure extends Error {
  override readonly name = "CallFailure";
  /** True: there is no agent, it starts or it ends; later there may be one. */
  readonly isTemporary: boolean;

  constructor(address: string, { code, details }: ServiceError) {
    const isTemporary = code === status.UNAVAILABLE;
    const isAnswer = !isTemporary || details.startsWith("the agent");
    super(isAnswer ? details : `no agent answers at ${address}: ${reasonOf(details)}`);
    this.isTemporary = isTemporary;
  }
}

/** Without what grpc-js says around it. */
function reasonOf(details: string): string {
  return /Last error: (?:Error: )?(.*?)\.? Resolution note:/.exec(details)?.[1] ?? details;
}

/** One agent. */
export class AgentClient {
  readonly #address: string;
  readonly #client: Client;
  readonly #timeoutMs: number;

  constructor({ address, credentials, options }: Connection, timeoutMs: number) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#client = new Client(address, credentials, {
      ...options,
      "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** Answers one call; rejects with CallFailure. */
  call<T extends object>(name: string, request: object = {}): Promise<T> {
    const { path, serialize, decode } = method<T>(name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        serialize,
        decode,
        request,
        new Metadata(),
        this.#deadline(),
        (error, answer) => (error ? reject(new CallFailure(this.#address, error)) : resolve(answer as T)),
      );
    });
  }

  /** Events from now on, as the JSON export has them, until the signal or the agent ends the stream. */
  async *events(request: object, signal: AbortSignal): AsyncGenerator<Record<string, unknown>> {
    const { path, serialize, decode } = method<Record<string, unknown>>("GetEvents");
    const stream = this.#client.makeServerStreamRequest(path, serialize, decode, request, new Metadata());
    const cancel = () => stream.cancel();
    signal.addEventListener("abort", cancel);
    if (signal.aborted) cancel();
    try {
      for await (const event of stream) yield event as Record<string, unknown>;
    } catch (error) {
      if (!signal.aborted) throw new CallFailure(this.#address, error as ServiceError);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  close(): void {
    this.#client.close();
  }

  #deadline(): CallOptions {
    return { deadline: Date.now() + this.#timeoutMs };
  }
}

/** JSON has fields under the names of the .proto files. */
const NAMES = { registry, useProtoFieldName: true };

function method<T>(name: string) {
  const found = serviceType(SERVICE).methods.find((one) => one.name === name);
  if (!found) throw new Error(`${SERVICE} has no ${name}`);
  const { input, output } = found;
  return {
    path: `/${SERVICE}/${name}`,
    serialize: (value: object) =>
      Buffer.from(toBinary(input, fromJson(input, value as JsonValue, { registry }))),
    decode: (bytes: Buffer) => toJson(output, fromBinary(output, bytes), NAMES) as T,
  };
}
