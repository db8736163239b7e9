/** An edit makes a policy unusable: its user learns the reason, and the previous version keeps running. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { readNodePolicies } from "../../crds/node-policies.ts";
import type { TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
import { conditionIs, getPolicy, policyReady } from "./cluster-view.ts";
import { kubectl, until } from "./kubectl.ts";

const NAME = "edited-badly";

after(() => kubectl(["delete", "tracingpolicy", NAME, "--ignore-not-found"]));

test("an invalid edit is refused with the field path, and what runs stays attached", async () => {
  await kubectl(["apply", "-f", "-"], policy({ call: "commit_creds", argument: 0 }));
  await policyReady(NAME);
  const good = await attachedHashes();

  const refusal = await until("a refusal", refuseEdit);
  assert.match(refusal, /denied the request: spec\.kprobes\[0\]\.args\[0\]\.index/);
  await policyReady(NAME);
  assert.deepEqual(await attachedHashes(), good);
});

test("a function that no kernel has is named with its node, and the last good spec stays attached", async () => {
  await kubectl(["apply", "-f", "-"], policy({ call: "commit_creds", argument: 0 }));
  await policyReady(NAME);
  const good = await attachedHashes();

  await kubectl(["apply", "-f", "-"], policy({ call: "comit_creds", argument: 0 }));
  const failed = await until("Ready=False for a missing function", async () => {
    const now = await getPolicy(NAME);
    const ready = now?.status?.conditions?.find((item) => item.type === "Ready");
    return conditionIs(now, "Ready", "False") && ready?.reason === "FunctionNotFound" && ready;
  });
  assert.match(failed.message, /comit_creds/);
  assert.deepEqual(await attachedHashes(), good);
});

test("a good edit recovers", async () => {
  await kubectl(["apply", "-f", "-"], policy({ call: "commit_creds", argument: 0 }));
  const ready = await policyReady(NAME);
  assert.ok(!conditionIs(ready, "Stalled", "True"));
});

/**
 * Why a bad edit is refused. An API server that has waited for the webhook in vain stores the edit, which is then taken
 * back; undefined in that case.
 */
async function refuseEdit(): Promise<string | undefined> {
  const edit = kubectl(["apply", "-f", "-"], policy({ call: "commit_creds", argument: 9 }));
  const refusal = await edit.then(
    () => undefined,
    (error: Error) => error.message,
  );
  if (refusal === undefined)
    await kubectl(["apply", "-f", "-"], policy({ call: "commit_creds", argument: 0 }));
  return refusal;
}

function policy(spec: { call: string; argument: number }): string {
  return JSON.stringify({
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata: { name: NAME },
    spec: { kprobes: [{ call: spec.call, syscall: false, args: [{ index: spec.argument, type: "cred" }] }] },
  });
}

/** Hash that runs, by node. */
async function attachedHashes(): Promise<Record<string, string | undefined>> {
  const list = JSON.parse(await kubectl(["get", "tracingnodes", "-o", "json"])) as {
    items: (TracingNode & { metadata: { name: string } })[];
  };
  return Object.fromEntries(
    list.items.map((node) => [
      node.metadata.name,
      readNodePolicies(node.status).find((item) => item.name === NAME)?.attachedHash,
    ]),
  );
}
