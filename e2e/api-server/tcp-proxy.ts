/** A TCP proxy that behaves like a bad network. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The test decides what happens to bytes and connections. */
export interface TcpProxy {
  /** Where clients connect to; same scheme as the target. */
  readonly url: string;
  /** Passes bytes on; connections that were frozen stay so. */
  accept(): void;
  /** Breaks every connection and refuses new ones. */
  refuse(): void;
  /** Open and new connections stay open but pass nothing on, in either direction. */
  freeze(): void;
  close(): Promise<void>;
}

/** Starts a proxy on the loopback address; it accepts. */
export async function startTcpProxy(target: URL): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let mode: "accept" | "refuse" | "freeze" = "accept";
  const server = createServer((client) => {
    if (mode === "refuse") return void client.destroy();
    const upstream = connect(Number(target.port), target.hostname);
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client]] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
    if (mode === "accept") join(pair);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const breakAll = () => {
    for (const [client] of pairs) client.destroy();
  };
  return {
    url: `${target.protocol}//127.0.0.1:${(server.address() as AddressInfo).port}`,
    accept() {
      mode = "accept";
    },
    refuse() {
      mode = "refuse";
      breakAll();
    },
    freeze() {
      mode = "freeze";
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
    },
    close() {
      breakAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function join([client, upstream]: [Socket, Socket]): void {
  client.pipe(upstream);
  upstream.pipe(client);
}
