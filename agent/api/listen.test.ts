import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isLocal, parseServerAddress, type ServerAddress } from "./address.ts";
import { type Listener, listen } from "./listen.ts";
import { hasOpenssl, makeCertificate } from "./testing/certificate.ts";

describe("addresses", () => {
  const cases: Record<string, { want: ServerAddress | undefined; local?: boolean }> = {
    "unix:///run/a.sock": { want: { path: "/run/a.sock" }, local: true },
    "unix:/run/a.sock": { want: { path: "/run/a.sock" }, local: true },
    "localhost:54321": { want: { host: "localhost", port: 54321 }, local: true },
    "127.0.0.53:1": { want: { host: "127.0.0.53", port: 1 }, local: true },
    "[::1]:1": { want: { host: "::1", port: 1 }, local: true },
    "[::]:1": { want: { host: "::", port: 1 }, local: false },
    ":1": { want: { port: 1 }, local: false },
    "10.0.0.1:1": { want: { host: "10.0.0.1", port: 1 }, local: false },
    "localhost:70000": { want: undefined },
    localhost: { want: undefined },
    "unix://relative": { want: undefined },
    "": { want: undefined },
  };
  test.each(Object.entries(cases))("%j", (text, { want, local }) => {
    const address = parseServerAddress(text);
    expect(address).toEqual(want);
    if (address) expect(isLocal(address)).toBe(local);
  });
});

let directory: string;
let listener: Listener | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "trigon-listen-"));
});
afterEach(async () => {
  await listener?.close();
  listener = undefined;
  rmSync(directory, { recursive: true });
});

describe("a UNIX socket", () => {
  test("that an agent has left behind is replaced, and its directory is made", async () => {
    const path = join(directory, "run/a.sock");
    const first = await listen({ path }, undefined, () => {});
    await first.close();
    writeFileSync(path, "");
    listener = await listen({ path }, undefined, (socket) => socket.end("hello"));
    const [greeting] = await once(connect(path), "data");
    expect(String(greeting)).toBe("hello");
  });

  test("that another process serves is left alone", async () => {
    const path = join(directory, "a.sock");
    const other = createServer().listen(path);
    await once(other, "listening");
    await expect(listen({ path }, undefined, () => {})).rejects.toThrow("another process serves this socket");
    expect(existsSync(path)).toBe(true);
    other.close();
  });

  test("takes 1,000 clients that connect at once", async () => {
    const path = join(directory, "a.sock");
    listener = await listen({ path }, undefined, () => {});
    const sockets = Array.from({ length: 1_000 }, () => connect(path));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    for (const socket of sockets) socket.destroy();
  });

  test("goes when the agent ends", async () => {
    const path = join(directory, "a.sock");
    const own = await listen({ path }, undefined, () => {});
    await own.close();
    expect(existsSync(path)).toBe(false);
  });
});

describe.skipIf(!hasOpenssl())("TLS (needs openssl)", () => {
  async function subject(options: object = {}): Promise<string> {
    const { port = 0 } = (listener?.address ?? {}) as { port?: number };
    const socket: TLSSocket = connectTls({
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      ...options,
    });
    try {
      await once(socket, "secureConnect");
      await once(socket, "data");
      return String(socket.getPeerCertificate().subject.CN);
    } finally {
      socket.destroy();
    }
  }

  const address = { host: "127.0.0.1", port: 0 };

  test("uses a certificate that has changed without a new start", async () => {
    const files = makeCertificate(directory, "first");
    listener = await listen(address, files, (socket) => socket.end("hello"));
    expect(await subject()).toBe("first");
    const next = makeCertificate(directory, "second");
    copyFileSync(next.key, files.key);
    copyFileSync(next.cert, files.cert);
    await vi.waitFor(async () => expect(await subject()).toBe("second"), { timeout: 20_000, interval: 200 });
  });

  test("refuses clients without a certificate where one is asked for", async () => {
    const files = makeCertificate(directory, "server");
    const client = makeCertificate(directory, "client");
    listener = await listen(address, { ...files, clientCa: [client.cert] }, (socket) => socket.end("hello"));
    await expect(subject()).rejects.toThrow();
    expect(await subject({ cert: readFileSync(client.cert), key: readFileSync(client.key) })).toBe("server");
  });

  test("files that cannot be read are named", async () => {
    const missing = join(directory, "missing");
    await expect(listen(address, { cert: missing, key: missing }, () => {})).rejects.toThrow(missing);
  });
});
