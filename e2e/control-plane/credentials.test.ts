import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { kubeconfig, nodeIdentity, writeTokens } from "./credentials.ts";

test("the token file has a token per identity with its groups", async () => {
  const file = join(await mkdtemp(join(tmpdir(), "trigon-test-")), "tokens.csv");
  const tokens = await writeTokens(file, [nodeIdentity("a"), { user: "bob", groups: ["x", "y"] }]);
  expect(await readFile(file, "utf8")).toBe(
    `${tokens.get("system:node:a")},system:node:a,system:node:a,"system:nodes"\n${tokens.get("bob")},bob,bob,"x,y"\n`,
  );
  expect(tokens.get("bob")).not.toBe(tokens.get("system:node:a"));
});

test("a kubeconfig names the server, how to verify it, and the token", () => {
  const config = JSON.parse(kubeconfig({ url: "https://127.0.0.1:1", caPem: "PEM" }, "bob", "secret"));
  expect(config.clusters[0].cluster).toEqual({
    server: "https://127.0.0.1:1",
    "certificate-authority-data": "UEVN",
  });
  expect(config.users[0].user.token).toBe("secret");
  expect(config["current-context"]).toBe(config.contexts[0].name);
});
