/** What comes while this process is busy or frozen counts, with a real server in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ApiTransport } from "./api-transport.ts";
import { CONFIG_MAPS } from "./resources.ts";
import { watchStream } from "./watch-stream.ts";

const BUSY_MS = 1_200;

let child: ChildProcess;
let transport: ApiTransport;
beforeAll(async () => {
  const program = new URL("./testing/chatty-server.mjs", import.meta.url).pathname;
  child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = await once(child.stdout as NonNullable<ChildProcess["stdout"]>, "data");
  const access = {
    server: new URL(`http://127.0.0.1:${String(port).trim()}`),
    tls: {},
    authorize: async () => ({ authorization: "" }),
  };
  transport = new ApiTransport(access, { userAgent: "test", requestTimeoutMs: 300 });
});
afterAll(() => {
  transport.close();
  child.kill("SIGKILL");
});

/** Keeps the process from doing anything else. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Each phase of the event loop in which a process may be busy, and one block after another. */
const busy: Record<string, () => void> = {
  "in a timer": () => void setTimeout(() => block(BUSY_MS), 1),
  "in an immediate": () => void setImmediate(() => block(BUSY_MS)),
  "in a microtask": () => queueMicrotask(() => block(BUSY_MS)),
  "in timers, one after another": () => {
    for (const ms of [1, 2]) setTimeout(() => block(BUSY_MS), ms);
  },
  "in immediates, one after another": () => {
    const again = (left: number): void => {
      block(BUSY_MS);
      if (left > 0) setImmediate(() => again(left - 1));
    };
    setImmediate(() => again(1));
  },
};

describe.each(Object.entries(busy))("while the process is busy %s", (_name, begin) => {
  test("bookmarks that wait in the socket keep the watch open", async () => {
    const options = {
      resourceVersion: "1",
      timeoutSeconds: 60,
      patience: { answerMs: 5_000, bookmarkMs: 200, graceMs: 1_000 },
      signal: AbortSignal.timeout(60_000),
      onOpen: () => {},
    };
    let seen = 0;
    for await (const { type } of watchStream(transport, CONFIG_MAPS, options)) {
      expect(type).toBe("BOOKMARK");
      seen++;
      if (seen === 3) begin();
      if (seen === 100) break;
    }
    expect(seen).toBe(100);
  }, 30_000);

  test("an answer that waits in the socket is in time", async () => {
    const sent = transport.send({ method: "GET", path: "/slow" });
    begin();
    expect((await sent).status).toBe(200);
  }, 30_000);
});

test("an answer that does not come is an error that names the limit", async () => {
  await expect(transport.send({ method: "GET", path: "/never" })).rejects.toMatchObject({
    message: "GET /never",
    cause: { name: "TimeoutError", message: "no answer within 0.3 s" },
  });
});
