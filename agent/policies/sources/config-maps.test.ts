import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HookSpec } from "../../../crds/hook-spec.ts";
import { encodeHookSpec, hookSpecHash } from "../../../crds/hook-spec-codec.ts";
import { HOOK_SPEC_KEYS, hookSpecConfigMapName, LABELS, policyKey } from "../../../crds/names.ts";
import type { Logger } from "../../../lib/logger.ts";
import { makeHookSpec } from "../testing/policies.ts";
import type { ConfigMap } from "./candidates.ts";
import { ConfigMapSource } from "./config-maps.ts";

const logger = { warn: () => {}, error: vi.fn() } as unknown as Logger;
const KEY = "TracingPolicy/p";
const specA = makeHookSpec("p", ["sys_setuid"]);
const specB = makeHookSpec("p", ["sys_setgid"]);

function makeConfigMap(
  spec: HookSpec,
  revision: number,
  changes: { retired?: boolean; gzip?: boolean } = {},
): ConfigMap {
  const json = encodeHookSpec(spec);
  return {
    metadata: {
      name: hookSpecConfigMapName(hookSpecHash(spec)),
      namespace: "trigon-system",
      labels: changes.retired ? { [LABELS.retired]: "true" } : {},
      annotations: { [LABELS.policyKey]: policyKey(spec.policy), [LABELS.revision]: String(revision) },
    },
    ...(changes.gzip
      ? { binaryData: { [HOOK_SPEC_KEYS.gzip]: gzipSync(json).toString("base64") } }
      : { data: { [HOOK_SPEC_KEYS.json]: json } }),
  };
}

function edited(configMap: ConfigMap, json: string): ConfigMap {
  return { ...configMap, data: { [HOOK_SPEC_KEYS.json]: json } };
}

let source: ConfigMapSource;
beforeEach(() => {
  vi.useFakeTimers();
  source = new ConfigMapSource({ logger });
  source.markSynced();
});
afterEach(() => {
  source.close();
  vi.useRealTimers();
});

function wanted(): unknown {
  const policy = source.desired()?.get(KEY);
  if (!policy) return undefined;
  if ("spec" in policy) return policy.spec.hooks[0]?.call;
  return "problem" in policy ? policy.problem : "unread";
}

test("nothing is known before the first list is complete", () => {
  const fresh = new ConfigMapSource({ logger });
  fresh.put(makeConfigMap(specA, 1));
  expect(fresh.desired()).toBeUndefined();
  fresh.markSynced();
  expect(fresh.desired()?.size).toBe(1);
});

describe("of several ConfigMaps of a policy", () => {
  test("the highest revision is wanted and the others are fall-backs, newest first", () => {
    const specC = makeHookSpec("p", ["sys_setreuid"]);
    source.put(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specC, 3));
    source.put(makeConfigMap(specB, 2));
    expect(wanted()).toBe("sys_setreuid");
    expect(
      source
        .desired()
        ?.get(KEY)
        ?.fallbacks?.map(({ hash }) => hash),
    ).toEqual([specB, specA].map(hookSpecHash));
  });

  test("an older one becomes the wanted one when its revision is raised", () => {
    source.put(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specB, 2));
    source.put(makeConfigMap(specA, 3));
    expect(wanted()).toBe("sys_setuid");
  });

  test("the removal of an older one changes nothing", () => {
    source.put(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specB, 2));
    source.remove(makeConfigMap(specA, 1));
    expect(wanted()).toBe("sys_setgid");
  });
});

test("a packed spec is read like a plain one", () => {
  source.put(makeConfigMap(specA, 1, { gzip: true }));
  expect(wanted()).toBe("sys_setuid");
});

describe("a policy that is gone", () => {
  test("is not wanted from the moment its retired ConfigMap is being deleted", () => {
    source.put(makeConfigMap(specA, 1));
    const retired = makeConfigMap(specA, 1, { retired: true });
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    source.put({ ...retired, metadata: { ...retired.metadata, deletionTimestamp } });
    expect(wanted()).toBeUndefined();
  });

  test("stays wanted while its ConfigMap has only the label, which a person may have set", () => {
    source.put(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specA, 1, { retired: true }));
    expect(wanted()).toBe("sys_setuid");
  });

  test("is not wanted when a new list lacks what was retired", () => {
    source.put(makeConfigMap(specA, 1, { retired: true }));
    source.remove(makeConfigMap(specA, 1));
    expect(wanted()).toBeUndefined();
  });

  test("is not wanted when only its last state shows that it was retired", () => {
    source.put(makeConfigMap(specA, 1));
    source.remove(makeConfigMap(specA, 1, { retired: true }));
    expect(wanted()).toBeUndefined();
  });
});

describe("a ConfigMap that vanishes without being retired", () => {
  test("stays wanted for a grace period", async () => {
    source.put(makeConfigMap(specA, 1));
    source.remove(makeConfigMap(specA, 1));
    await vi.advanceTimersByTimeAsync(59_000);
    expect(wanted()).toBe("sys_setuid");
    await vi.advanceTimersByTimeAsync(1000);
    expect(wanted()).toBeUndefined();
  });

  test("stays wanted rather than an older one", async () => {
    source.put(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specB, 2));
    source.remove(makeConfigMap(specB, 2));
    expect(wanted()).toBe("sys_setgid");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(wanted()).toBe("sys_setuid");
  });

  test("may come back", async () => {
    source.put(makeConfigMap(specA, 1));
    source.remove(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specA, 1));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(wanted()).toBe("sys_setuid");
  });

  test("gives way to a newer one at once", () => {
    source.put(makeConfigMap(specA, 1));
    source.remove(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specB, 2));
    expect(wanted()).toBe("sys_setgid");
  });
});

describe("a ConfigMap of no use with a higher revision, once it is removed", () => {
  const useless = (revision: number): ConfigMap => {
    const { data: _, metadata } = makeConfigMap(specA, revision);
    return { metadata: { ...metadata, name: "by-hand" } };
  };

  test("gives way at once to the one that was wanted before", () => {
    source.put(makeConfigMap(specA, 1));
    source.put(useless(9));
    source.remove(useless(9));
    expect(wanted()).toBe("sys_setuid");
  });

  test("does not give way to one that is older than what was wanted before", async () => {
    source.put(makeConfigMap(specA, 1));
    source.put(makeConfigMap(specB, 2));
    source.put(useless(9));
    source.remove(makeConfigMap(specB, 2));
    source.remove(useless(9));
    expect(wanted()).toMatch(/by-hand/);
    source.put(makeConfigMap(specB, 2));
    expect(wanted()).toBe("sys_setgid");
  });

  test("does not end what ran before when that is missing, too", async () => {
    source.put(makeConfigMap(specA, 1));
    source.put(useless(9));
    source.remove(makeConfigMap(specA, 1));
    source.remove(useless(9));
    expect(wanted()).toMatch(/by-hand/);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(wanted()).toBeUndefined();
  });
});

describe("a ConfigMap that was changed by hand", () => {
  const damage: Record<string, { change: (configMap: ConfigMap) => ConfigMap; says: RegExp }> = {
    "other content": {
      change: (map) => edited(map, encodeHookSpec(specB)),
      says: /changed by hand.*trigon-spec-/,
    },
    "no JSON": { change: (map) => edited(map, "{"), says: /holds no hook spec/ },
    "another format version": {
      change: (map) => edited(map, JSON.stringify({ ...specA, version: 99 })),
      says: /holds no hook spec.*version/,
    },
    "no data": { change: ({ data: _, ...map }) => map, says: /has no hook-spec\.json/ },
    "packed data that is not packed": {
      change: ({ data: _, ...map }) => ({ ...map, binaryData: { [HOOK_SPEC_KEYS.gzip]: "AAAA" } }),
      says: /unpack/,
    },
  };
  test.each(Object.entries(damage))("%s is a problem of its policy", (_name, { change, says }) => {
    source.put(change(makeConfigMap(specA, 1)));
    expect(wanted()).toMatch(says);
  });

  test("is logged and ignored if it does not name its policy", () => {
    source.put({ metadata: { name: "trigon-spec-0", namespace: "trigon-system" } });
    expect(source.desired()?.size).toBe(0);
    expect(logger.error).toHaveBeenCalledWith(expect.stringContaining("trigon-spec-0"));
  });
});

test("a revision that the operator never writes counts for nothing", () => {
  source.put(makeConfigMap(specA, 1));
  source.put(makeConfigMap(specB, 999_999_999_999));
  expect(wanted()).toBe("sys_setuid");
});

test("listeners hear of each change", () => {
  const listener = vi.fn();
  source.onChange(listener);
  source.put(makeConfigMap(specA, 1));
  source.remove(makeConfigMap(specA, 1, { retired: true }));
  expect(listener).toHaveBeenCalledTimes(2);
});
