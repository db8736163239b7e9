import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeApi, type TestApi } from "../agent/api/testing/api.ts";
import { hasOpenssl, makeCertificate } from "../agent/api/testing/certificate.ts";
import { connectionOf } from "./connection.ts";
import { runCommand } from "./program.ts";
import { TestStreams } from "./testing/streams.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "trigon-connection-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("the address", () => {
  const cases: Record<string, { flag?: string; info?: string; want: string }> = {
    "is the flag's": {
      flag: "localhost:1",
      info: '{"server_address":"localhost:2"}',
      want: "localhost:1",
    },
    "without a flag is what the agent has published": {
      info: '{"server_address":"localhost:2"}',
      want: "localhost:2",
    },
    "without either is that of the usual socket": { want: "unix:///var/run/tetragon/tetragon.sock" },
    "is not taken from a file that is none of an agent's": {
      info: '["localhost:2"',
      want: "unix:///var/run/tetragon/tetragon.sock",
    },
  };
  test.each(Object.entries(cases))("%s", (name, { flag, info, want }) => {
    const file = join(directory, `${name}.json`);
    if (info !== undefined) writeFileSync(file, info);
    const flags = flag === undefined ? {} : { serverAddress: flag };
    expect(connectionOf(flags, file).address).toBe(want);
  });
});

describe.skipIf(!hasOpenssl())("TLS (needs openssl)", () => {
  let api: TestApi;
  let server: { cert: string; key: string };
  let client: { cert: string; key: string };
  beforeAll(async () => {
    server = makeCertificate(directory, "server");
    client = makeCertificate(directory, "client");
    const tls = { ...server, clientCa: [client.cert] };
    api = await makeApi({ address: { host: "127.0.0.1", port: 0 }, tls });
  });
  afterAll(() => api.close());

  async function list(...flags: string[]) {
    const { address } = api.api;
    const streams = new TestStreams();
    const place = `127.0.0.1:${"port" in address ? address.port : 0}`;
    const args = ["policies", "list", "--timeout", "10s", "--server-address", place, ...flags];
    const status = await runCommand(args, "1.2.3", streams);
    return { status, said: [...streams.lines, ...streams.errors].join("\n") };
  }
  const identity = () => ["--tls-cert-file", client.cert, "--tls-key-file", client.key];

  test("with a certificate of the client and the agent's authority", async () => {
    const { status, said } = await list(...identity(), "--tls-ca-cert-files", server.cert);
    expect(said).toMatch(/^ID +NAME/);
    expect(status).toBe(0);
  });

  test("whatever the agent's certificate is, if that is asked for", async () => {
    expect((await list(...identity(), "--tls-skip-verify")).status).toBe(0);
  });

  test("by the name in the agent's certificate", async () => {
    const named = ["--tls-ca-cert-files", server.cert, "--tls-server-name"];
    expect((await list(...identity(), ...named, "127.0.0.1")).status).toBe(0);
    const { status, said } = await list(...identity(), ...named, "other");
    expect(said).toContain("no agent answers at 127.0.0.1:");
    expect(status).toBe(1);
  });

  const refused: Record<string, { flags: () => string[]; says: RegExp; status: number }> = {
    "without a certificate of the client": {
      flags: () => ["--tls-ca-cert-files", server.cert],
      says: /no agent answers/,
      status: 1,
    },
    "with an authority that has not signed the agent's certificate": {
      flags: () => [...identity(), "--tls-ca-cert-files", client.cert],
      says: /no agent answers at \S+: .*self-signed certificate/,
      status: 1,
    },
    "with half of an identity": {
      flags: () => ["--tls-cert-file", client.cert],
      says: /--tls-cert-file and --tls-key-file: one needs the other/,
      status: 2,
    },
    "with a file that is not there": {
      flags: () => ["--tls-ca-cert-files", join(directory, "missing")],
      says: /--tls-ca-cert-files: ENOENT/,
      status: 2,
    },
    "with a file that is no certificate": {
      flags: () => ["--tls-cert-file", import.meta.filename, "--tls-key-file", import.meta.filename],
      says: /the files of --tls-\* cannot be used: /,
      status: 2,
    },
  };
  test.each(Object.entries(refused))("not %s", async (_name, { flags, says, status }) => {
    const answer = await list(...flags());
    expect(answer.said).toMatch(says);
    expect(answer.status).toBe(status);
  });
});
