/** Calls over plain HTTP/2, for bytes that no gRPC client would send. */
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

/** The status of a call, as its trailers have it. */
export interface RawAnswer {
  code: number;
  details: string;
}

/** One message of a call: a byte that says whether it is compressed, its length, its bytes. */
export function frame(message: Uint8Array, { flag = 0, length = message.length } = {}): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, message]);
}

/** Sends these bytes as the whole request of a call. */
export async function rawCall(socket: string, path: string, body: Uint8Array): Promise<RawAnswer> {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.resume().end(body);
  try {
    return await new Promise((resolve, reject) => {
      for (const event of ["response", "trailers"] as const) {
        stream.on(event, (headers) => {
          const code = headers["grpc-status"];
          if (code !== undefined)
            resolve({
              code: Number(code),
              details: decodeURIComponent(String(headers["grpc-message"] ?? "")),
            });
        });
      }
      stream.once("error", reject);
    });
  } finally {
    session.destroy();
  }
}
