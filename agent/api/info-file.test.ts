import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
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

test("the address stands beside the socket, and goes with the agent", async () => {
  const remove = await writeInfoFile(address(), about);
  expect(read()).toEqual({ server_address: `unix://${directory}/tetragon.sock`, ...about });
  remove();
  expect(read).toThrow("ENOENT");
});

test("a file of another agent stays", async () => {
  const remove = await writeInfoFile(address(), about);
  writeFileSync(infoFileOf(address()), '{"server_address":"localhost:1"}');
  remove();
  expect(read()).toEqual({ server_address: "localhost:1" });
});

const otherAddresses = {
  "a UNIX socket": (path: string) => [path, `unix://${path}`] as const,
  "a TCP address": () => [0, undefined] as const,
};
test.each(Object.entries(otherAddresses))(
  "a file whose address another agent serves on %s is left alone, and replaced when that agent has ended",
  async (_name, addressOf) => {
    const [place, text] = addressOf(join(directory, "other.sock"));
    const other = createServer().listen(place as string);
    await once(other, "listening");
    const port = (other.address() as { port?: number }).port;
    const info = { server_address: text ?? `localhost:${port}` };
    writeFileSync(infoFileOf(address()), JSON.stringify(info));
    (await writeInfoFile(address(), about))();
    expect(read()).toEqual(info);
    await new Promise((resolve) => other.close(resolve));
    await writeInfoFile(address(), about);
    expect(read()).toMatchObject(about);
  },
);

test("of a TCP address it stands where clients look", () => {
  expect(infoFileOf({ host: "localhost", port: 54321 })).toBe("/var/run/tetragon/tetragon-info.json");
});
