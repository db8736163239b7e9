/** client-node on the API server in memory. */
import { KubeConfig, ResponseContext, type Watch, wrapHttpLibrary } from "@kubernetes/client-node";
import type { ApiRequest } from "../../lib/api-transport.ts";
import type { MemoryApi } from "../../lib/testing/memory-api.ts";
import { type Apis, makeApis } from "../cluster/api.ts";

/** The typed APIs; no request leaves the process. Writes are made while `mayWriteMs` is above 0. */
export function memoryApis(api: MemoryApi, mayWriteMs = () => 60_000): Apis {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "memory", server: "http://memory", skipTLSVerify: true },
    { name: "test" },
  );
  const http = wrapHttpLibrary({
    async send(context) {
      const url = new URL(context.getUrl());
      const body = context.getBody() as string | undefined;
      const contentType = context.getHeaders()["Content-Type"];
      const { status, headers, text } = await api.send({
        method: context.getHttpMethod() as ApiRequest["method"],
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        ...(body && { body: JSON.parse(body) }),
        ...(contentType && { contentType }),
      });
      const binary = async () => Buffer.from(text);
      return new ResponseContext(
        status,
        { "content-type": "application/json", ...headers } as never,
        {
          text: async () => text,
          binary,
        } as never,
      );
    },
  });
  return makeApis({ config, userAgent: "test", mayWriteMs, http, watch: { watch: watchOf(api) } });
}

function watchOf(api: MemoryApi): Watch["watch"] {
  return async (path, query, callback, done) => {
    const controller = new AbortController();
    const body = await api.open({ method: "GET", path, query }, controller.signal);
    body.on("data", (line: Buffer) => {
      const event = JSON.parse(line.toString()) as { type: string; object: unknown };
      callback(event.type, event.object);
    });
    body.on("close", () => done(null));
    return controller;
  };
}
