import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { keptPaths } from "./guest.ts";
import { kernelPayload } from "./kernel-image.ts";
import { quote } from "./session.ts";

describe("arguments reach the shell of the guest unchanged", () => {
  test.each(["plain", "two words", "it's", '$HOME `id` \\ "', "", "new\nline", "*", "ü"])("%j", (word) => {
    const output = execFileSync("sh", ["-c", `printf %s ${quote(word)}`], { encoding: "utf8" });
    expect(output).toBe(word);
  });
});

describe("kept paths", () => {
  test("are those that a fresh /tmp or /run would hide", () => {
    expect(keptPaths(["/home/me/project", "/tmp/clone", "/run/x", "/tmpfs/y"])).toEqual([
      "/tmp/clone",
      "/run/x",
    ]);
  });

  test("leave out a path inside another one", () => {
    expect(keptPaths(["/tmp/a/b", "/tmp/a", "/tmp/a", "/tmp/ab"])).toEqual(["/tmp/a", "/tmp/ab"]);
  });

  test("are never the whole directory", () => {
    expect(keptPaths(["/tmp", "/tmp/", "/run"])).toEqual([]);
  });
});

test("the compressed kernel is found by the boot protocol's offsets, without its size", () => {
  const image = Buffer.alloc(4096);
  image[0x1f1] = 2; // setup sectors: the code begins at 3 * 512
  image.writeUInt32LE(100, 0x248);
  image.writeUInt32LE(14, 0x24c);
  image.write("compressedSIZE", 3 * 512 + 100);
  expect(kernelPayload(image).toString()).toBe("compressed");
});
