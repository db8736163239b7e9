import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { HookSpec } from "../../crds/hook-spec.ts";
import { hookSpecHash } from "../../crds/hook-spec.ts";
import { type ConfigMapLike, makeConfigMap, makeSpec, makeSpecObject, makeWanted } from "../testing/data.ts";
import { encodeSpec, parseSpecObject, specGeneration } from "./config-map.ts";

/** A spec whose binaries are random, so that it compresses badly. */
function makeLargeSpec(binaries: number): HookSpec {
  const spec = makeSpec("sys_setuid");
  const values = Array.from({ length: binaries }, () => `/${randomBytes(100).toString("hex")}`);
  const perHook = 64;
  const [hook] = spec.hooks;
  if (!hook) throw new Error("a hook");
  const hooks = Array.from({ length: Math.ceil(binaries / perHook) }, (_, i) => ({
    ...hook,
    path: `spec.kprobes[${i}]`,
    selectors: [
      {
        filters: [
          {
            match: "binary" as const,
            negate: false,
            compare: "equal" as const,
            values: values.slice(i * perHook, (i + 1) * perHook),
          },
        ],
        actions: [],
      },
    ],
  }));
  return { ...spec, hooks };
}

describe("encodeSpec", () => {
  test("writes small specs as readable JSON", () => {
    const encoded = encodeSpec(makeSpec("sys_setuid"));
    expect(encoded.ok && Object.keys(encoded.data)).toEqual(["data"]);
  });

  test("compresses large ones, and they come back as they were", () => {
    const spec = makeLargeSpec(640);
    const encoded = encodeSpec(spec);
    expect(encoded.ok && Object.keys(encoded.data)).toEqual(["binaryData"]);
    const read = parseSpecObject(makeConfigMap({ spec, hash: hookSpecHash(spec), generation: 1 }, 1));
    expect(read.spec).toEqual(spec);
  });

  test("refuses what no ConfigMap can hold, with the size and what helps", () => {
    const encoded = encodeSpec(makeLargeSpec(12_000));
    expect(encoded).toMatchObject({
      ok: false,
      message: expect.stringMatching(/\d{4} KiB compressed.*1024 KiB; split/),
    });
  });
});

const damages: Record<string, (object: ConfigMapLike) => void> = {
  "content of another spec": (object) => {
    object.data = makeConfigMap(makeWanted(1, "other"), 1).data ?? {};
  },
  "no JSON": (object) => {
    object.data = { "hook-spec.json": "{" };
  },
  "no data": (object) => delete object.data,
  "bytes that are not gzip": (object) => {
    delete object.data;
    object.binaryData = { "hook-spec.json.gz": "AAAA" };
  },
};
test.each(Object.entries(damages))("a ConfigMap with %s carries no spec", (_name, damage) => {
  expect(makeSpecObject(makeWanted(1, "sys_setuid"), 1, damage).spec).toBeUndefined();
});

test("a generation that is no number is not known", () => {
  const object = makeSpecObject(
    makeWanted(1, "a"),
    1,
    ({ metadata }) => (metadata.annotations["trigon.dev/policy-generation"] = "x"),
  );
  expect(specGeneration(object)).toBeUndefined();
  expect(specGeneration(makeSpecObject(makeWanted(4, "a"), 1))).toBe(4);
});
