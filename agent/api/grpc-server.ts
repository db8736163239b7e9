/** The services on grpc-js. Loaded when the first client connects: an agent without clients does not pay for it. */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { fileDescriptors } from "../../proto/descriptors.ts";
import { ProtobufEncoder, type ProtobufOptions } from "../events/protobuf/encoder.ts";
import { type AgentCallsDeps, agentCalls } from "./agent-calls.ts";
import { type CallLimits, OpenCalls } from "./call-limits.ts";
import { type EventLog, eventLogCalls } from "./event-log.ts";
import { EventStreams, type GetEventsDeps } from "./get-events.ts";
import { addHealth, type HealthOptions } from "./health.ts";
import { PolicyApi, type PolicyApiDeps } from "./policies.ts";
import type { GrpcServer } from "./server.ts";
import { defineService, unary } from "./service.ts";

/** What the services need. */
export interface ServicesDeps {
  agent: Omit<AgentCallsDeps, "checks">;
  health: HealthOptions;
  policies: PolicyApiDeps;
  /** Undefined: events are not exported to a file. */
  eventLog: EventLog | undefined;
  events: Omit<GetEventsDeps, "encoder" | "disconnect">;
  encoding: ProtobufOptions;
  /** Absent: the usual ones. */
  callLimits?: CallLimits;
}

/** Requests are small; a policy is the largest. */
const MAX_REQUEST_BYTES = 4 << 20;
/** Of a connection, for clients that open streams without the headers of a call. Those that open calls are refused before. */
const MAX_HTTP2_STREAMS = 1_024;
const KEEPALIVE_MS = 60_000;
const GOODBYE_MS = 1_000;

/** `disconnect` ends the connection of a peer. */
export function openGrpcServer(deps: ServicesDeps, disconnect: (peer: string) => void): GrpcServer {
  const calls = new OpenCalls(deps.callLimits);
  const server = new Server({
    interceptors: [calls.interceptor],
    "grpc.max_concurrent_streams": MAX_HTTP2_STREAMS,
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
  });
  const encoder = new ProtobufEncoder(deps.encoding);
  const streams = new EventStreams({ ...deps.events, encoder, disconnect });
  const policies = new PolicyApi(deps.policies);
  server.addService(defineService("tetragon.FineGuidanceSensors"), {
    ...unary({ ...agentCalls({ ...deps.agent, checks: deps.health.checks }), ...policies.handlers() }),
    GetEvents: (call: Parameters<EventStreams["open"]>[0]) => streams.open(call),
  });
  server.addService(
    defineService("tetragon.EventLogService"),
    unary(eventLogCalls(deps.eventLog, deps.agent.logger)),
  );
  const endHealth = addHealth(server, deps.health);
  addReflection(server);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    connect: (socket) => injector.injectConnection(socket),
    hasCalls: (peer) => calls.has(peer),
    close: () => {
      endHealth();
      streams.close();
      injector.drain(GOODBYE_MS);
      injector.destroy();
    },
  };
}

/** Shows all services of proto/, that of the health check among them; the library reads nothing but the files. */
function addReflection(server: Server): void {
  type Package = ConstructorParameters<typeof ReflectionService>[0];
  const files = { fileDescriptorProtos: fileDescriptors } as unknown as Package[string];
  new ReflectionService({ files }).addToServer(server);
}
