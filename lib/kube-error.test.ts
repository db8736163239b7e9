import { expect, test } from "vitest";
import { isExpired, KubeError, parseStatus } from "./kube-error.ts";

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
