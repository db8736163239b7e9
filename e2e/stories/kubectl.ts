/** kubectl as stories use it: the one on PATH, against the cluster in KUBECONFIG. */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** Output of a kubectl that succeeded; throws with its stderr otherwise. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const child = spawn("kubectl", args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(input ?? "");
  const [stdout, stderr, status] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    }),
  ]);
  if (status !== 0) throw new Error(`kubectl ${args.join(" ")}: exit status ${status}: ${stderr.trim()}`);
  return stdout;
}

/** An object as JSON, or undefined when there is none. */
export async function getObject<T>(...args: string[]): Promise<T | undefined> {
  const text = await kubectl(["get", ...args, "--ignore-not-found", "-o", "json"]);
  return text.trim() === "" ? undefined : (JSON.parse(text) as T);
}

/** Waits for a condition, never for a time; the error contains the last state. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 120_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause: last });
    await sleep(500);
  }
}

async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
