/** What quickstart shows while it builds a cluster. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

test("an agent with quickstart's policies shows the call and the change of each command", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, "first-events.ts"),
  ]);
  for (const line of [
    /^\$ su -s \/bin\/sh nobody -c true$/m,
    /\/su -s \/bin\/sh nobody -c true {2}setuid\(65534\)$/m,
    /\/su -s \/bin\/sh nobody -c true {2}commit_creds\(uid 65534 .*uid 0 -> 65534;/m,
    /\/setpriv --reuid=1000 .* {2}setresuid\(1000, 1000, 1000\)$/m,
    /\/unshare -U true {2}commit_creds\(.*user_ns level 0 -> level 1$/m,
  ])
    assert.match(stdout, line);
});
