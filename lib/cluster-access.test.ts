import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inClusterAccess, kubeconfigAccess } from "./cluster-access.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-access-"));
  await writeFile(join(directory, "ca.crt"), "certificate");
  await writeFile(join(directory, "token"), "first\n");
});
afterEach(() => rm(directory, { recursive: true }));

test("a service account's token is read again after a minute: the kubelet renews it", async () => {
  let now = 0;
  const access = await inClusterAccess({ host: "10.0.0.1", port: "443", directory, now: () => now });
  expect(await access.authorize()).toEqual({ authorization: "Bearer first" });
  await writeFile(join(directory, "token"), "second");
  now = 59_999;
  expect(await access.authorize()).toEqual({ authorization: "Bearer first" });
  now = 60_000;
  expect(await access.authorize()).toEqual({ authorization: "Bearer second" });
});

test("an IPv6 service address is put in brackets", async () => {
  const access = await inClusterAccess({ host: "fd00::1", port: "443", directory });
  expect(access.server.href).toBe("https://[fd00::1]/");
  expect(String(access.tls.ca)).toBe("certificate");
});

function makeKubeconfig(user: string): string {
  return `
apiVersion: v1
kind: Config
current-context: c
contexts: [{ name: c, context: { cluster: k, user: u } }]
clusters: [{ name: k, cluster: { server: "https://api:6443", certificate-authority-data: Q0E= } }]
users: [{ name: u, user: ${user} }]
`;
}

const users: Record<string, { user: string; authorization: string | undefined; key?: string }> = {
  "a token": { user: "{ token: abc }", authorization: "Bearer abc" },
  "a password": { user: "{ username: me, password: pw }", authorization: `Basic ${btoa("me:pw")}` },
  "a certificate": {
    user: "{ client-certificate-data: Q0VSVA==, client-key-data: S0VZ }",
    authorization: undefined,
    key: "KEY",
  },
};
test.each(Object.entries(users))(
  "a kubeconfig with %s works",
  async (_name, { user, authorization, key }) => {
    const file = join(directory, "config");
    await writeFile(file, makeKubeconfig(user));
    const access = await kubeconfigAccess(file);
    expect(access.server.href).toBe("https://api:6443/");
    expect(String(access.tls.ca)).toBe("CA");
    expect((await access.authorize()).authorization).toBe(authorization);
    if (key !== undefined) expect(String(access.tls.key)).toBe(key);
  },
);

test("a kubeconfig without a current context is named", async () => {
  const file = join(directory, "config");
  await writeFile(file, "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n");
  await expect(kubeconfigAccess(file)).rejects.toThrow(file);
});
