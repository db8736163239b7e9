import { afterEach, expect, test } from "vitest";
import { type HealthServer, startHealthServer } from "./health.ts";
import { createRegistry } from "./metrics.ts";

let server: HealthServer | undefined;
afterEach(() => server?.close());

async function get(path: string, problem?: string) {
  const registry = createRegistry({ component: "test", version: "1.2.3", defaultMetrics: false });
  const ready = { synced: () => problem, other: () => undefined };
  server = await startHealthServer({ host: "127.0.0.1", port: 0, registry, live: {}, ready });
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return { status: response.status, body: await response.text() };
}

const cases: Record<string, { path: string; problem?: string; status: number; body: RegExp }> = {
  "readyz is 200 when every check passes": {
    path: "/readyz",
    status: 200,
    body: /^\[\+\] synced: ok\n\[\+\] other: ok\nok\n$/,
  },
  "readyz is 503 and names the check that fails": {
    path: "/readyz?verbose",
    problem: "pods: 403",
    status: 503,
    body: /^\[-\] synced: pods: 403\n\[\+\] other: ok\nnot ok\n$/,
  },
  "healthz without checks is 200": { path: "/healthz", status: 200, body: /^ok\n$/ },
  "metrics carry the build": {
    path: "/metrics",
    status: 200,
    body: /trigon_build_info\{.*version="1.2.3".*\} 1/,
  },
  "another path is 404 and lists the paths": { path: "/", status: 404, body: /\/metrics/ },
};
test.each(Object.entries(cases))("%s", async (_name, { path, problem, status, body }) => {
  const response = await get(path, problem);
  expect(response.status).toBe(status);
  expect(response.body).toMatch(body);
});

test("a port in use is an error that names the address", async () => {
  await get("/healthz");
  const again = { registry: createRegistry({ component: "t", version: "0" }), live: {}, ready: {} };
  const port = server?.port ?? 0;
  await expect(startHealthServer({ host: "127.0.0.1", port, ...again })).rejects.toThrow(
    `listen on 127.0.0.1:${port}`,
  );
});
