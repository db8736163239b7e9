/** Where the gRPC server listens. Pure. */

/** A UNIX socket, or a TCP address; no host means every address. */
export type ServerAddress = { path: string } | { host?: string; port: number };

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** `unix:///PATH`, `HOST:PORT` or `:PORT`; undefined for anything else. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const [, path] = /^unix:(?:\/\/)?(\/(?!\/).+)$/.exec(text) ?? [];
  if (path !== undefined) return { path };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]/]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  const host = bracketed || plain;
  return host ? { host, port } : { port };
}

/** Whether only this machine can reach the address. */
export function isLocal(address: ServerAddress): boolean {
  return "path" in address || (address.host !== undefined && LOOPBACK.test(address.host));
}

/** The address as it stands in logs. */
export function addressText(address: ServerAddress): string {
  if ("path" in address) return `unix://${address.path}`;
  const { host = "", port } = address;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
