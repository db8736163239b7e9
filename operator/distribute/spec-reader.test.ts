import { beforeEach, describe, expect, test } from "vitest";
import { hookSpecConfigMapName } from "../../crds/names.ts";
import { makeWanted } from "../testing/data.ts";
import { SpecReader } from "./spec-reader.ts";

const { spec, hash } = makeWanted(1, "sys_setuid");
const other = makeWanted(1, "sys_setgid");
const name = hookSpecConfigMapName(hash);
const text = (change: (json: string) => string) => ({
  data: { "hook-spec.json": change(spec.data.data?.["hook-spec.json"] ?? "") },
});

describe.each([
  ["that was never seen", () => {}],
  ["that was read before", (reader: SpecReader) => reader.read(name, spec.data)],
  ["that was compiled before", (reader: SpecReader) => reader.add(hash, spec)],
])("the spec of a ConfigMap %s", (_name, prepare) => {
  let reader: SpecReader;
  beforeEach(() => {
    reader = new SpecReader();
    prepare(reader);
  });

  test("is read with its data", () => {
    expect(reader.read(name, spec.data)).toEqual({ ok: true, spec });
  });

  test.each([
    ["is the text of another spec", other.spec.data, "was changed by hand"],
    ["has lost its end", text((json) => json.slice(0, -1)), "is not JSON"],
    ["has other values", text((json) => json.replace("sys_setuid", "sys_setfsuid")), "was changed by hand"],
    ["is empty", {}, "has no hook-spec.json"],
  ])("is refused if it %s", (_damage, data, problem) => {
    expect(reader.read(name, data)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
  });

  test("is read if it only has more white space, which agents read, too", () => {
    const data = text((json) => ` ${json}`);
    expect(reader.read(name, data)).toEqual({ ok: true, spec: { ...spec, data } });
  });

  test("is refused under another name", () => {
    expect(reader.read(hookSpecConfigMapName(other.hash), spec.data).ok).toBe(false);
  });
});
