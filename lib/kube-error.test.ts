import { expect, test } from "vitest";
import { isExpired, KubeError, parseStatus, retryDelayMs } from "./kube-error.ts";

const expired: Record<string, { error: unknown; want: boolean }> = {
  "410 is": { error: new KubeError("watch", 410, {}), want: true },
  "a server that knows less than we do is": {
    error: new KubeError("watch", 504, { details: { causes: [{ reason: "ResourceVersionTooLarge" }] } }),
    want: true,
  },
  "another 504 is not": { error: new KubeError("watch", 504, {}), want: false },
  "a broken connection is not": { error: new Error("ECONNRESET"), want: false },
};
test.each(Object.entries(expired))("%s a reason to list again", (_name, { error, want }) => {
  expect(isExpired(error)).toBe(want);
});

const bodies: Record<string, { text: string; want: object }> = {
  "a Status is taken as it is": {
    text: '{"message":"no","reason":"Forbidden"}',
    want: { message: "no", reason: "Forbidden" },
  },
  "a proxy's page becomes the message": {
    text: "<h1>Bad Gateway</h1>\n",
    want: { message: "<h1>Bad Gateway</h1>" },
  },
  "an empty body has no message": { text: "", want: {} },
};
test.each(Object.entries(bodies))("%s", (_name, { text, want }) => {
  expect(parseStatus(text)).toEqual(want);
});

test("the message names the step, the server's message, the status and the reason", () => {
  const error = new KubeError("GET /api/v1/pods", 403, { message: "pods is forbidden", reason: "Forbidden" });
  expect(error.message).toBe("GET /api/v1/pods: pods is forbidden (403 Forbidden)");
});

const busy = new KubeError("list pods", 429, { details: { retryAfterSeconds: 1 } });
test.each([
  ["the backoff after any error", new Error("ECONNRESET"), 0, 100, 200],
  ["clients that are turned away together come back apart", busy, 0, 1_100, 1_200],
  ["and further apart each time", busy, 3, 1_800, 2_600],
])("the delay before a retry: %s", (_name, error, attempt, least, most) => {
  const delay = (random: number) =>
    retryDelayMs(error, { initialMs: 200, maxMs: 15_000 }, attempt, () => random);
  expect([delay(0), delay(1)]).toEqual([least, most]);
});
