/** Reads streams of events and throws them away: `reader.ts SOCKET CLIENTS REQUEST`, each over a connection of its own. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { fromJson, toBinary } from "@bufbuild/protobuf";
import { frame } from "../../agent/api/testing/raw-call.ts";
import { messageType } from "../../proto/descriptors.ts";

const [socket = "", clients = "1", request = "{}"] = process.argv.slice(2);
const REQUEST = messageType("tetragon.GetEventsRequest");
const message = frame(toBinary(REQUEST, fromJson(REQUEST, JSON.parse(request))));
await Promise.all(Array.from({ length: Number(clients) }, open));
process.send?.("reading");

async function open(): Promise<void> {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
  session.once("close", () => process.exit());
  const stream = session.request({
    ":method": "POST",
    ":path": "/tetragon.FineGuidanceSensors/GetEvents",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(message);
  await once(stream, "response");
  stream.resume();
}
