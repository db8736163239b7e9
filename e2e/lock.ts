import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/** Runs with the file locked against other processes; the kernel frees the lock when this process dies. */
export async function withLock<T>(file: string, run: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  // The holder ends with its stdin, which ends with this process.
  const holder = spawn("flock", [file, "sh", "-c", "echo locked; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => holder.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    holder.once("error", (cause) => reject(new Error(`lock ${file}: ${cause.message}`, { cause })));
    holder.once("exit", (code) => reject(new Error(`lock ${file}: flock ended with ${code}`)));
    holder.stdout.once("data", () => resolve());
  });
  try {
    return await run();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
