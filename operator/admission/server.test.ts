import { request as overHttps } from "node:https";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { compileAndEncode } from "../compiler/compiled.ts";
import { makeCertificate } from "./certificate.ts";
import { reviewPolicy } from "./review.ts";
import { type AdmissionServer, startAdmissionServer } from "./server.ts";

const REVIEW = JSON.stringify({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid: "123",
    object: {
      apiVersion: "cilium.io/v1alpha1",
      kind: "TracingPolicy",
      metadata: { name: "p", uid: "u", generation: 1 },
      spec: { kprobes: [{ call: "sys_setuid", syscall: true }] },
    },
  },
});

let server: AdmissionServer;

beforeAll(async () => {
  server = await startAdmissionServer({
    host: "127.0.0.1",
    port: 0,
    certificate: await makeCertificate(["localhost"], Date.now()),
    review: (body) =>
      reviewPolicy({ compile: async (policy) => compileAndEncode(policy), missing: () => [] }, body),
  });
});
afterAll(() => server.close());

/** Sends one request; `body` may be only the beginning of what the headers say. */
function call(body: string, { method = "POST", path = "/validate", headers = {} } = {}) {
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port: server.port,
      path,
      method,
      headers,
      rejectUnauthorized: false,
    };
    const sent = overHttps(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, text: text.trim() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Another API server's question is answered all the same. */
afterEach(async () => {
  const { status, text } = await call(REVIEW);
  expect([status, JSON.parse(text).response]).toEqual([200, { uid: "123", allowed: true }]);
});

const refused: Record<
  string,
  { body: string; status: number; says: string; method?: string; path?: string }
> = {
  nothing: { body: "", status: 400, says: "the body is no JSON: " },
  YAML: { body: "kprobes: []", status: 400, says: "the body is no JSON: " },
  "bytes of no text": { body: "\0\u{fffd}", status: 400, says: "the body is no JSON: " },
  "a list": { body: "[]", status: 400, says: "body: expected an object, got []" },
  "another object": {
    body: '{"kind":"Pod","apiVersion":"v1"}',
    status: 400,
    says: 'expected admission.k8s.io/v1 AdmissionReview, got "v1" "Pod"',
  },
  "a review without a request": {
    body: '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
    status: 400,
    says: "request: expected an object, got nothing",
  },
  "nesting of 100,000 levels": {
    body: "[".repeat(100_000),
    status: 400,
    says: "the body is no JSON: ",
  },
  "more than 8 MiB": {
    body: `"${"x".repeat(8 << 20)}"`,
    status: 413,
    says: "the body has more than 8388608 bytes",
  },
  "a request to read": { body: "", method: "GET", status: 405, says: "only POST" },
  "another path": { body: "{}", path: "/mutate", status: 404, says: "only /validate is here" },
};
test.each(Object.entries(refused))(
  "%s gets a clear answer",
  async (_name, { body, status, says, ...how }) => {
    const answer = await call(body, how);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(says);
  },
);

describe("a client", () => {
  test("that speaks no TLS is cut off", async () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {}).resume();
    socket.write("GET /validate HTTP/1.1\r\n\r\n");
    await new Promise((resolve) => socket.once("close", resolve));
  });

  test("that sends less than it has announced keeps nobody else waiting", async () => {
    const stalled = call('{"kind":', { headers: { "content-length": "1000" } }).catch((error) => error);
    const { status } = await call(REVIEW);
    expect(status).toBe(200);
    expect(await Promise.race([stalled, "still waiting"])).toBe("still waiting");
  });
});
