/** Services of our .proto files for grpc-js: requests and answers are objects in the JSON form of protobuf. */
import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import {
  type MethodDefinition,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { errorText } from "../../lib/logger.ts";
import { registry, serviceType } from "../../proto/descriptors.ts";
import { CallError, errorStatus } from "./status.ts";

/** A request in the JSON form of protobuf: fields under the names of the .proto file, zeros left out. */
export type Request = Record<string, unknown>;

/** Bytes that are no message of the type that the call takes. */
export class UnreadableRequest {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** What a call was sent. Throws CallError for what could not be read. */
export function readable(request: Request | UnreadableRequest): Request {
  if (!(request instanceof UnreadableRequest)) return request;
  throw new CallError(status.INVALID_ARGUMENT, `the request cannot be read: ${request.reason}`);
}

/** Answers one request; what it throws becomes the status of the call. */
export type UnaryHandler = (request: Request) => object | Promise<object>;

/** The definition of a service, by its full name. Messages that are bytes already are sent as they are. */
export function defineService(name: string): ServiceDefinition {
  const { methods } = serviceType(name);
  return Object.fromEntries(methods.map((method) => [method.name, defineMethod(name, method)]));
}

function defineMethod(service: string, method: DescMethod): MethodDefinition<unknown, unknown> {
  const { input, output, methodKind } = method;
  return {
    path: `/${service}/${method.name}`,
    requestStream: false,
    responseStream: methodKind === "server_streaming",
    requestSerialize: (value) =>
      Buffer.from(toBinary(input, fromJson(input, value as JsonValue, { registry }))),
    requestDeserialize: (bytes) => read(input, bytes),
    responseSerialize: (value) =>
      Buffer.isBuffer(value)
        ? value
        : Buffer.from(toBinary(output, fromJson(output, value as JsonValue, { registry }))),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

/** grpc-js hides what an error says: the answer to the call has it instead. */
function read(input: DescMessage, bytes: Uint8Array): Request | UnreadableRequest {
  try {
    return toJson(input, fromBinary(input, bytes), { registry, useProtoFieldName: true }) as Request;
  } catch (error) {
    return new UnreadableRequest(errorText(error));
  }
}

/** Handlers for grpc-js. */
export function unary(handlers: Record<string, UnaryHandler>): UntypedServiceImplementation {
  return Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, answer(handler)]));
}

function answer(handler: UnaryHandler) {
  return async (
    { request }: ServerUnaryCall<Request | UnreadableRequest, object>,
    done: sendUnaryData<object>,
  ) => {
    try {
      done(null, await handler(readable(request)));
    } catch (error) {
      done(errorStatus(error));
    }
  };
}
