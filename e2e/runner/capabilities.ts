/** Checks for what a machine may lack. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Returns what is missing, or undefined. */
export type Capability = (environment: NodeJS.ProcessEnv) => string | undefined;

/** The programs are on PATH. */
export function programs(...names: string[]): Capability {
  return ({ PATH = "" }) => {
    const found = (name: string) =>
      PATH.split(delimiter).some((directory) => existsSync(join(directory, name)));
    const missing = names.filter((name) => !found(name));
    return missing.length > 0 ? `${missing.join(", ")} not installed` : undefined;
  };
}

/** The files are under version control, so that `git diff` can compare them. */
export const gitCheckout: Capability = () =>
  succeeds("git", "rev-parse", "HEAD") ? undefined : "not a git checkout";

/** Guests run Debian's amd64 kernels. */
export const x86: Capability = () =>
  process.arch === "x64" ? undefined : `guests need x86_64, this is ${process.arch}`;

/** The user is root. */
export const root: Capability = () => (process.getuid?.() === 0 ? undefined : "not running as root");

/** A network of the tests' own, with a tap device per node. */
export const networkNamespaces: Capability = () => {
  if (!existsSync("/dev/net/tun")) return "no /dev/net/tun";
  return succeeds("unshare", "--net", "true") ? undefined : "network namespaces cannot be created";
};

function succeeds(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}
