/** Users of a test's API server, and the files that define them. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A user with a static token. */
export interface Identity {
  user: string;
  groups: string[];
}

/** An identity of a node's kubelet: the Node authorizer and NodeRestriction apply to it. */
export const nodeIdentity = (name: string): Identity => ({
  user: `system:node:${name}`,
  groups: ["system:nodes"],
});

/** The identity with all rights. */
export const ADMIN: Identity = { user: "admin", groups: ["system:masters"] };

/** Writes the API server's token file; the returned tokens are by user name. */
export async function writeTokens(file: string, identities: Identity[]): Promise<Map<string, string>> {
  const tokens = new Map(identities.map(({ user }) => [user, randomBytes(24).toString("hex")]));
  const lines = identities.map(
    ({ user, groups }) => `${tokens.get(user)},${user},${user},"${groups.join(",")}"\n`,
  );
  await writeFile(file, lines.join(""), { mode: 0o600 });
  return tokens;
}

/** Writes the key pair that signs service-account tokens: sa.key and sa.pub. */
export async function writeServiceAccountKeys(directory: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  await writeFile(join(directory, "sa.key"), privateKey, { mode: 0o600 });
  await writeFile(join(directory, "sa.pub"), publicKey);
}

/** A kubeconfig with one context (YAML is a superset of JSON). */
export function kubeconfig(server: { url: string; caPem: string }, user: string, token: string): string {
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "trigon",
          cluster: {
            server: server.url,
            "certificate-authority-data": Buffer.from(server.caPem).toString("base64"),
          },
        },
      ],
      users: [{ name: user, user: { token } }],
      contexts: [{ name: "trigon", context: { cluster: "trigon", user } }],
      "current-context": "trigon",
    },
    undefined,
    2,
  )}\n`;
}
