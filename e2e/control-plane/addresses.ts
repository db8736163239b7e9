import { createServer } from "node:net";

/**
 * Finds free TCP ports below the range that the kernel gives to clients (32768 and up). Otherwise a client that retries
 * while its server restarts could get the server's own port, and even connect to itself.
 */
export async function findFreePorts(count: number, address: string): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count; attempt++) {
    if (attempt > 200) throw new Error(`find a free port on ${address}: none in 200 attempts`);
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port, address)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}
