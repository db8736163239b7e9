/** The file in which the `tetra` command looks for the agent's address when it is given none. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addressText, parseServerAddress, type ServerAddress } from "./address.ts";
import { isServed } from "./listen.ts";

/** What others read about a running agent; the names are upstream's. */
export interface AgentInfo {
  server_address: string;
  metrics_address: string;
  export_fname: string;
  pid: number;
}

const NAME = "tetragon-info.json";

/** Where clients look when they are given no address. */
const RUN_DIRECTORY = "/var/run/tetragon";

/** The file stands beside the socket, or in the directory in which clients look. */
export function infoFileOf(address: ServerAddress): string {
  return join("path" in address ? dirname(address.path) : RUN_DIRECTORY, NAME);
}

/**
 * Writes the file at once and as a whole; returns what removes it again, if another agent has not replaced it. Leaves a file
 * whose address is served by another agent, such as Tetragon's beside this one.
 */
export async function writeInfoFile(
  address: ServerAddress,
  info: Omit<AgentInfo, "server_address">,
): Promise<() => void> {
  const file = infoFileOf(address);
  const text = `${JSON.stringify({ server_address: addressText(address), ...info })}\n`;
  if (await isOfAnother(readOrNothing(file), address)) return () => {};
  writeFileSync(`${file}.new`, text, { mode: 0o644 });
  renameSync(`${file}.new`, file);
  return () => {
    if (readOrNothing(file) === text) rmSync(file, { force: true });
  };
}

async function isOfAnother(text: string, own: ServerAddress): Promise<boolean> {
  const address = addressIn(text);
  return address !== undefined && addressText(address) !== addressText(own) && (await isServed(address));
}

function addressIn(text: string): ServerAddress | undefined {
  try {
    return parseServerAddress(String(JSON.parse(text).server_address));
  } catch {
    return undefined; // no file, or none that an agent has written
  }
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
