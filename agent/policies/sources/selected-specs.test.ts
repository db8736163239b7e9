import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeHookSpec, hookSpecHash } from "../../../crds/hook-spec-codec.ts";
import { HOOK_SPEC_KEYS, hookSpecConfigMapName, LABELS } from "../../../crds/names.ts";
import type { Logger } from "../../../lib/logger.ts";
import { makeHookSpec } from "../testing/policies.ts";
import type { ConfigMap } from "./candidates.ts";
import { SelectedSpecs } from "./selected-specs.ts";

const logger = { warn: () => {} } as unknown as Logger;
const nodeSelector = { matchLabels: { gpu: "yes" } };
const spec = makeHookSpec("p", ["sys_setuid"], { nodeSelector });
const name = hookSpecConfigMapName(hookSpecHash(spec));
const whole: ConfigMap = { metadata: { name }, data: { [HOOK_SPEC_KEYS.json]: encodeHookSpec(spec) } };

/** The metadata as the watch has it, with this annotation. */
function seen(annotation: string | undefined = JSON.stringify(nodeSelector)) {
  return {
    metadata: { name, annotations: annotation === undefined ? {} : { [LABELS.nodeSelector]: annotation } },
  };
}

let labels: Record<string, string> | undefined;
let answers: (ConfigMap | undefined | Error)[];
let events: string[];
let specs: SelectedSpecs;

beforeEach(() => {
  labels = {};
  answers = [];
  events = [];
  specs = new SelectedSpecs({
    put: (configMap) => events.push(configMap.unreadFor ? "unread" : "spec"),
    remove: () => events.push("removed"),
    read: async () => {
      events.push("read");
      const answer = answers.length > 0 ? answers.shift() : whole;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    selects: ({ matchLabels }) => labels !== undefined && labels.gpu === matchLabels?.gpu,
    onSync: () => events.push("synced"),
    logger,
    backoff: { initialMs: 1, maxMs: 1 },
  });
  specs.start();
});
afterEach(() => specs.stop());

const become = (...want: string[]) => expect.poll(() => events).toEqual(want);

test("a node that is left out does not read the spec", async () => {
  specs.seen(seen());
  specs.listed();
  await become("unread", "synced");
});

test("a node whose labels are not known does not read it either, and reads it when they select the node", async () => {
  labels = undefined;
  specs.seen(seen());
  specs.listed();
  await become("unread", "synced");
  labels = { gpu: "yes" };
  specs.labelsChanged();
  await become("unread", "synced", "read", "spec");
});

test.each([undefined, "no JSON", "null", "[]", '{"matchLabels":"x"}', '{"unknown":{}}'])(
  "a spec whose annotation is %s is read",
  async (annotation) => {
    specs.seen(annotation === undefined ? { metadata: { name } } : seen(annotation));
    specs.listed();
    await become("read", "spec", "synced");
  },
);

test("the first set is complete when what is selected has been read, after failures too", async () => {
  labels = { gpu: "yes" };
  answers = [new Error("away"), whole];
  specs.seen(seen());
  specs.listed();
  await become("read", "read", "spec", "synced");
});

test("an annotation that is changed by hand does not take away a spec that has been read", async () => {
  labels = { gpu: "yes" };
  specs.seen(seen());
  await become("read", "spec");
  specs.seen(seen('{"matchLabels":{"no":"node"}}'));
  await become("read", "spec", "spec");
});

test("damaged content is read again at the next change", async () => {
  labels = { gpu: "yes" };
  answers = [{ metadata: { name }, data: {} }];
  specs.seen(seen());
  await become("read", "spec");
  specs.seen(seen());
  await become("read", "spec", "read", "spec");
});

test("a spec that goes while it is read is not put", async () => {
  labels = { gpu: "yes" };
  specs.seen(seen());
  specs.listed();
  specs.gone(seen());
  await become("removed", "synced");
});
