/** Prometheus and its checker, as an owner of a cluster runs them. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { exitOf } from "../../lib/testing/child-process.ts";

/** What `promtool check metrics` has to say about a text; empty: nothing. */
export function checkMetrics(promtool: string, text: string): string {
  const { status, stdout, stderr } = spawnSync(promtool, ["check", "metrics"], { input: text });
  return status === 0 ? "" : `status ${status}: ${stdout}${stderr}`;
}

/** A Prometheus that scrapes one target every second. */
export interface Prometheus {
  /** The value of an expression with one result; undefined while it has none. */
  query(expression: string): Promise<number | undefined>;
  close(): Promise<void>;
}

/** Resolves when it is ready. */
export async function startPrometheus(program: string, target: string): Promise<Prometheus> {
  const directory = await mkdtemp(join(tmpdir(), "trigon-prometheus-"));
  const config = join(directory, "prometheus.yml");
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: "1s", scrape_timeout: "1s" },
      scrape_configs: [{ job_name: "trigon", static_configs: [{ targets: [target] }] }],
    }),
  );
  const port = await freePort();
  const child = spawn(program, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(directory, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--log.level=error",
  ]);
  const url = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  for (let i = 0; i < 600 && child.exitCode === null && !(await isReady()); i++) await delay(100);
  return {
    query: async (expression) => {
      const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
      return data.result[0] && Number(data.result[0].value[1]);
    },
    close: async () => {
      child.kill("SIGTERM");
      await exitOf(child);
      await rm(directory, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
