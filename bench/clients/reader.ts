/** Reads streams of events and throws them away: `reader.ts SOCKET CLIENTS`, each over a connection of its own. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

const [socket = "", clients = "1"] = process.argv.slice(2);
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
  stream.end(Buffer.alloc(5));
  await once(stream, "response");
  stream.resume();
}
