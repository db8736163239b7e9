import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { infoFileOf, writeInfoFile } from "./info-file.ts";

let directory: string;
const about = { metrics_address: ":2112", export_fname: "", pid: 7 };
const address = () => ({ path: join(directory, "tetragon.sock") });
const read = () => JSON.parse(readFileSync(infoFileOf(address()), "utf8"));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "trigon-info-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the address stands beside the socket, and goes with the agent", () => {
  const remove = writeInfoFile(address(), about);
  expect(read()).toEqual({ server_address: `unix://${directory}/tetragon.sock`, ...about });
  remove();
  expect(read).toThrow("ENOENT");
});

test("a file of another agent stays", () => {
  const remove = writeInfoFile(address(), about);
  writeFileSync(infoFileOf(address()), '{"server_address":"localhost:1"}');
  remove();
  expect(read()).toEqual({ server_address: "localhost:1" });
});

test("of a TCP address it stands where clients look", () => {
  expect(infoFileOf({ host: "localhost", port: 54321 })).toBe("/var/run/tetragon/tetragon-info.json");
});
