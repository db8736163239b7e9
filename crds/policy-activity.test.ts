import { expect, test } from "vitest";
import { type PolicyActivity, readActivity, writeActivity } from "./policy-activity.ts";

const cases: Record<string, [activity: PolicyActivity, line: string]> = {
  "a policy about pods that are not on the node": [
    { pods: 0, perMinute: 0, namespaces: [], binaries: [] },
    "pods=0 perMinute=0",
  ],
  "a policy about every process": [
    { perMinute: 40, namespaces: ["shop", "blog"], binaries: ["/usr/bin/su"] },
    "perMinute=40 namespaces=shop,blog binaries=/usr/bin/su",
  ],
  "a file whose name has a blank, a comma and more": [
    { perMinute: 1, namespaces: [], binaries: ["/tmp/a b,c=%20"] },
    "perMinute=1 binaries=/tmp/a%20b%2Cc%3D%2520",
  ],
};

test.each(Object.entries(cases))("%s", (_name, [activity, line]) => {
  expect(writeActivity(activity)).toBe(line);
  expect(readActivity(line)).toEqual(activity);
});
