import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Image } from "./image.ts";
import { parseNames, Usernames } from "./usernames.ts";

const HOST_USER = 4026531837;
const PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/srv:/bin/false\n";
let procfs: string;
let nowMs: number;
let alive: Set<number>;
let usernames: Usernames;

/** A process with a root directory of its own. */
function makeProcess(pid: number, uid: number | undefined, user = HOST_USER): Image {
  mkdirSync(join(procfs, `${pid}/root/etc`), { recursive: true });
  alive.add(pid);
  return { pid, facts: { uid, namespaces: { user } } } as unknown as Image;
}

const etc = (pid: number) => join(procfs, `${pid}/root/etc`);
const writePasswd = (pid: number, text = PASSWD) => writeFileSync(join(etc(pid), "passwd"), text);

beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), "trigon-passwd-"));
  nowMs = 0;
  alive = new Set();
  usernames = new Usernames({
    procfs,
    hostUserNamespace: HOST_USER,
    isCurrent: ({ pid }) => alive.has(pid),
    nowMs: () => nowMs,
  });
});
afterEach(() => rmSync(procfs, { recursive: true }));

test("a uid has the name that the process's own root directory has for it", () => {
  const [host, container] = [makeProcess(10, 1000), makeProcess(11, 1000)];
  writePasswd(10);
  writePasswd(11, "app:x:1000:1000::/:/bin/sh\n");
  expect(usernames.of(host)).toBe("web");
  expect(usernames.of(container)).toBe("app");
  expect(usernames.of(makeProcess(10, 0))).toBe("root");
});

test("the name stays when the process has ended, and follows its uid", () => {
  const image = makeProcess(10, 1000);
  writePasswd(10);
  expect(usernames.of(image)).toBe("web");
  alive.clear();
  expect(usernames.of(image)).toBe("web");
  image.facts = { ...image.facts, uid: 0 };
  expect(usernames.of(image)).toBeUndefined();
});

describe("nothing is shown", () => {
  const cases: Record<string, () => Image> = {
    "for a uid that the file does not have": () => {
      const image = makeProcess(10, 77);
      writePasswd(10);
      return image;
    },
    "for a uid that is not known": () => makeProcess(10, undefined),
    "where there is no file": () => makeProcess(10, 0),
    "of a user namespace with ids of its own": () => {
      const image = makeProcess(10, 1000, 4026532000);
      writePasswd(10);
      return image;
    },
    "of a process whose pid another one may have by now": () => {
      const image = makeProcess(10, 1000);
      writePasswd(10);
      alive.clear();
      return image;
    },
    "of a process that is gone": () => ({ ...makeProcess(10, 1000), pid: 999 }) as Image,
    "behind a symbolic link in place of the file": () => {
      const image = makeProcess(10, 1000);
      writeFileSync(join(procfs, "agents-own"), PASSWD);
      symlinkSync(join(procfs, "agents-own"), join(etc(10), "passwd"));
      return image;
    },
    "behind a symbolic link in place of the directory": () => {
      const image = makeProcess(10, 1000);
      mkdirSync(join(procfs, "agents-own"));
      writeFileSync(join(procfs, "agents-own/passwd"), PASSWD);
      rmSync(etc(10), { recursive: true });
      symlinkSync(join(procfs, "agents-own"), etc(10));
      return image;
    },
    "where the file is a pipe, and nothing waits": () => {
      const image = makeProcess(10, 1000);
      execFileSync("mkfifo", [join(etc(10), "passwd")]);
      return image;
    },
    "where the file is huge": () => {
      const image = makeProcess(10, 1000);
      writePasswd(10, PASSWD + "#".repeat(1 << 20));
      return image;
    },
  };
  test.each(Object.entries(cases))("%s", (_name, make) => {
    expect(usernames.of(make())).toBeUndefined();
  });
});

test("a file that has changed is read again after a while", () => {
  makeProcess(10, 1000);
  writePasswd(10);
  expect(usernames.of(makeProcess(10, 1000))).toBe("web");
  unlinkSync(join(etc(10), "passwd"));
  writePasswd(10, "new:x:1000:1000::/:/bin/sh\n");
  utimesSync(join(etc(10), "passwd"), 1, 1);
  expect(usernames.of(makeProcess(10, 1000))).toBe("web");
  nowMs = 10_000;
  expect(usernames.of(makeProcess(10, 1000))).toBe("new");
});

test("the first name of a uid counts; lines that are no entry are left out", () => {
  const text = "toor:x:0:0::/:\nroot:x:0:0::/:\n# comment\n+::::::\nnouid:x::0::/:\nx:y\n";
  expect([...parseNames(text)]).toEqual([[0, "toor"]]);
});
