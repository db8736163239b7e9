import { expect, test } from "vitest";
import { parseImage } from "./user-overlay.ts";

const DIGEST = `sha256:${"0a".repeat(32)}`;

const cases: Record<string, ReturnType<typeof parseImage>> = {
  "trigon.dev/trigon:dev": { newName: "trigon.dev/trigon", newTag: "dev" },
  "localhost:5000/trigon:1.2.3": { newName: "localhost:5000/trigon", newTag: "1.2.3" },
  [`registry.example.com/trigon@${DIGEST}`]: { newName: "registry.example.com/trigon", digest: DIGEST },
};
test.each(Object.entries(cases))("%s", (image, parts) => {
  expect(parseImage(image)).toEqual(parts);
});

test.each(["trigon.dev/trigon", "localhost:5000/trigon", "trigon@sha256:12", ""])(
  "%j names no image",
  (image) => {
    expect(() => parseImage(image)).toThrow("is not REPOSITORY:TAG");
  },
);
