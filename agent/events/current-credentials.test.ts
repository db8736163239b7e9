import { describe, expect, test } from "vitest";
import { CurrentCredentials } from "../process/current-credentials.ts";
import { RECORD_CRED_FAILED } from "../records/layout.ts";
import {
  type CredChangeFields,
  credSlot,
  type HookFields,
  makeBatch,
  makeExec,
  makeExit,
  makeFork,
} from "../records/testing/records.ts";
import type { EventEncoder } from "./encoder.ts";
import { JsonEncoder } from "./json/encoder.ts";
import { MemorySink, makeHit, makeHookDef, parseLines, setupShell } from "./testing/pipeline.ts";

function setup(current: boolean, def = makeHookDef()) {
  const parts = setupShell(def, {
    cache: { keepCredentials: true },
    processFields: { credentials: true },
    ...(current && { currentCredentials: new CurrentCredentials({ keepCredentials: true }) }),
  });
  return {
    /** Feeds records in one batch; the process and the parent of each event. */
    feed(...records: Uint8Array[]) {
      parts.pipeline.handleBatch(makeBatch(...records));
      return parseLines(parts.sink.takeLines()).map((event) => Object.values(event)[0] as Shown);
    },
  };
}

interface Shown {
  process: { uid: number; cap?: unknown; process_credentials?: { uid: number; euid: number } };
  parent: { uid: number; cap?: unknown };
}

const toNobody: CredChangeFields = {
  changed: ["uid", "euid", "cap_effective"],
  old: { cap_effective: 1n },
  new: { uid: 65534, euid: 65534, suid: 65534, fsuid: 65534, cap_permitted: 2n },
};
const hit = (changes: Partial<HookFields> = {}) => makeHit([credSlot({})], changes);
const commit = (changes: Partial<HookFields> = {}) => hit({ credChange: toNobody, ...changes });

test("by default events show the credentials at exec", () => {
  const [, later] = setup(false).feed(commit(), hit({ uid: 65534 }));
  expect(later?.process).toMatchObject({ uid: 0, process_credentials: { uid: 0, euid: 0 } });
});

describe("in the current view", () => {
  test("a commit is true for what follows it, not for its own event", () => {
    const [own, later] = setup(true).feed(commit(), hit({ uid: 65534 }));
    expect(own?.process).toMatchObject({ uid: 0, process_credentials: { euid: 0 } });
    expect(later?.process).toMatchObject({
      uid: 65534,
      cap: { permitted: ["DAC_OVERRIDE"] },
      process_credentials: { uid: 65534, euid: 65534 },
    });
  });

  test("a commit moves the process whatever the outputs make of its event", () => {
    const nothing: EventEncoder = { hook() {}, exec() {}, exit() {} };
    const parts = setupShell(makeHookDef(), {
      cache: { keepCredentials: true },
      currentCredentials: new CurrentCredentials({ keepCredentials: true }),
      outputs: [{ encoder: nothing, sink: new MemorySink() }],
    });
    parts.pipeline.handleBatch(makeBatch(commit()));
    const encoder = new JsonEncoder({
      nodeName: "node-1",
      clock: parts.wallClock,
      process: { credentials: true },
    });
    parts.pipeline.addOutput({ encoder, sink: parts.sink });
    parts.pipeline.handleBatch(makeBatch(hit({ uid: 65534 })));
    const [event] = parseLines(parts.sink.takeLines());
    expect(event.process_kprobe.process).toMatchObject({
      uid: 65534,
      cap: { permitted: ["DAC_OVERRIDE"] },
      process_credentials: { uid: 65534, euid: 65534 },
    });
  });

  test("children inherit it, and see it in their parent", () => {
    const child = { pid: 11, seq: 1, uid: 65534, ktimeNs: 40_000_000n };
    const { feed } = setup(true);
    feed(makeFork({ ...child, parentPid: 10 }), hit(child));
    const [, , later] = feed(
      commit(),
      makeFork({ ...child, pid: 12, parentPid: 10 }),
      hit(child),
      hit({ ...child, pid: 12 }),
    );
    expect(later?.process.uid).toBe(65534);
    expect(later?.parent).toMatchObject({ uid: 65534, cap: { permitted: ["DAC_OVERRIDE"] } });
  });

  test("an earlier child shows it in its parent as well", () => {
    const child = { pid: 11, seq: 1, ktimeNs: 40_000_000n };
    const { feed } = setup(true);
    feed(makeFork({ ...child, parentPid: 10 }), hit(child));
    const [, later] = feed(commit(), hit(child));
    expect(later).toMatchObject({ process: { uid: 0 }, parent: { uid: 65534 } });
  });

  test("a uid that changed without a commit is shown at once, and nothing of which one cannot know", () => {
    const [event, exit] = setup(true).feed(
      hit({ uid: 1000 }),
      makeExit({ pid: 10, seq: 1, ktimeNs: 50_000_000n, uid: 1001 }),
    );
    expect(event?.process.uid).toBe(1000);
    expect(event?.process).not.toHaveProperty("cap");
    expect(event?.process).not.toHaveProperty("process_credentials");
    expect(exit?.process.uid).toBe(1001);
  });

  const unmoved: Record<string, Uint8Array[]> = {
    "another thread's credentials": [commit({ tid: 4242 }), hit({ tid: 4242, uid: 65534 })],
    "credentials that could not be read": [commit({ flags: RECORD_CRED_FAILED })],
    "a commit that changes nothing": [commit({ credChange: { ...toNobody, changed: [] } })],
  };
  test.each(Object.entries(unmoved))("%s do not move the process", (_name, records) => {
    const later = setup(true)
      .feed(...records, hit())
      .at(-1);
    expect(later?.process).toMatchObject({ uid: 0, process_credentials: { euid: 0 } });
  });

  test("credentials that a function is only shown do not move the process: it may be refused", () => {
    const { feed } = setup(true, makeHookDef({ call: "security_capset" }));
    expect(feed(commit(), hit())[1]?.process.uid).toBe(0);
  });

  test("the commit of an exec is the next image's", () => {
    const { feed } = setup(true);
    const [own, exec] = feed(
      commit({ seq: 2 }),
      makeExec({
        pid: 10,
        seq: 2,
        ktimeNs: 60_000_000n,
        filename: "/bin/su",
        parentPid: 0,
        cred: { euid: 7 },
      }),
    );
    expect(own?.process.uid).toBe(0);
    expect(exec).toMatchObject({ process: { uid: 7 }, parent: { uid: 0 } });
  });
});
