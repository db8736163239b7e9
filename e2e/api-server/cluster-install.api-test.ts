/**
 * What `npm run e2e` does to a cluster before and after the stories, on a real API server with its controllers.
 *
 *   node --test e2e/api-server/cluster-install.api-test.ts
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { installIfMissing } from "../cluster-install.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { eventually, kubectl, listAllObjects } from "./api-clients.ts";

const IMAGE = "registry.example.com/trigon:1.2.3";

let plane: ControlPlane;
before(async () => {
  plane = await startControlPlane({ controllers: true });
});
after(() => plane?.stop());

const run = (...args: string[]) => kubectl(plane, ...args);
const install = () => installIfMissing(run, IMAGE, () => {});

const workloads = () => run("get", "deployments,daemonsets", "-n", "trigon-system", "-o", "name");

test("a bare cluster gets Trigon with the image, and is as it was at the end", async () => {
  await eventually(() => run("get", "serviceaccount", "default", "-n", "default"));
  await eventually(() => run("get", "configmap", "kube-root-ca.crt", "-n", "kube-node-lease"));
  const untouched = await listAllObjects(plane);
  const installed = await install();
  assert.deepEqual((await workloads()).trim().split("\n"), [
    "deployment.apps/trigon-operator",
    "daemonset.apps/trigon-agent",
  ]);
  const images = await run(
    "get",
    "deployments,daemonsets",
    "-n",
    "trigon-system",
    "-o",
    "jsonpath={..image}",
  );
  assert.deepEqual(images.split(" "), [IMAGE, IMAGE]);
  await installed.end(false);
  await eventually(async () => assert.deepEqual(await listAllObjects(plane), untouched));
});

test("with --keep it stays, and the next run leaves it as it is", async () => {
  await (await install()).end(true);
  await run("label", "daemonset", "trigon-agent", "-n", "trigon-system", "mine=yes");
  const second = await install();
  await second.end(false);
  const labelled = await run("get", "daemonsets", "-n", "trigon-system", "-l", "mine=yes", "-o", "name");
  assert.equal(labelled.trim(), "daemonset.apps/trigon-agent");
});
