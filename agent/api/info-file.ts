/** The file in which the `tetra` command looks for the agent's address when it is given none. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addressText, type ServerAddress } from "./address.ts";

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

/** Writes the file at once and as a whole; returns what removes it again, if another agent has not replaced it. */
export function writeInfoFile(address: ServerAddress, info: Omit<AgentInfo, "server_address">): () => void {
  const file = infoFileOf(address);
  const text = `${JSON.stringify({ server_address: addressText(address), ...info })}\n`;
  writeFileSync(`${file}.new`, text, { mode: 0o644 });
  renameSync(`${file}.new`, file);
  return () => {
    if (readOrNothing(file) === text) rmSync(file, { force: true });
  };
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
