/** Services of our .proto files for grpc-js: requests and answers are objects in the JSON form of protobuf. */
import { type DescMethod, fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import type {
  MethodDefinition,
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { registry, serviceType } from "../../proto/descriptors.ts";
import { errorStatus } from "./status.ts";

/** A request in the JSON form of protobuf: fields under the names of the .proto file, zeros left out. */
export type Request = Record<string, unknown>;

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
    requestDeserialize: (bytes) =>
      toJson(input, fromBinary(input, bytes), { registry, useProtoFieldName: true }) as Request,
    responseSerialize: (value) =>
      Buffer.isBuffer(value)
        ? value
        : Buffer.from(toBinary(output, fromJson(output, value as JsonValue, { registry }))),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

/** Handlers for grpc-js. */
export function unary(handlers: Record<string, UnaryHandler>): UntypedServiceImplementation {
  return Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, answer(handler)]));
}

function answer(handler: UnaryHandler) {
  return async ({ request }: ServerUnaryCall<Request, object>, done: sendUnaryData<object>) => {
    try {
      done(null, await handler(request));
    } catch (error) {
      done(errorStatus(error));
    }
  };
}
