import { describe, expect, test } from "vitest";
import { parseContainerRef } from "./container-id.ts";
import { makePodContext } from "./pod-context.ts";
import { type PodObject, parsePod } from "./pod-object.ts";
import { PodStore } from "./pod-store.ts";
import { podWorkload } from "./workload.ts";

const id = "0123456789abcdef".repeat(4);
const uid = "12345678-1234-1234-1234-123456789abc";
const slice = uid.replaceAll("-", "_");

describe("container of a cgroup", () => {
  const cases: Record<string, [cgroup: string, want: unknown]> = {
    "containerd, systemd driver": [
      `kubepods-burstable-pod${slice}.slice/cri-containerd-${id}.scope`,
      { id, runtime: "containerd", podUid: uid },
    ],
    "containerd, cgroupfs driver": [`pod${uid}/${id}`, { id, podUid: uid }],
    "CRI-O": [`kubepods-pod${slice}.slice/crio-${id}.scope`, { id, runtime: "cri-o", podUid: uid }],
    "docker with kubelet": [
      `kubepods-pod${slice}.slice/docker-${id}.scope`,
      { id, runtime: "docker", podUid: uid },
    ],
    "docker alone": [`system.slice/docker-${id}.scope`, { id, runtime: "docker" }],
    "docker alone, cgroupfs driver": [`docker/${id}`, { id }],
    "containerd's colon form": [`system.slice:cri-containerd:${id}`, { id, runtime: "containerd" }],
    "the leaf alone": [id, { id }],
    "a static pod": [
      `podaabbccddeeff00112233445566778899/${id}`,
      { id, podUid: "aabbccddeeff00112233445566778899" },
    ],
    "a whole path": [
      `kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${slice}.slice/cri-containerd-${id}.scope`,
      { id, runtime: "containerd", podUid: uid },
    ],
    "a cgroup that the container made": [
      `cri-containerd-${id}.scope/init.scope`,
      { id, runtime: "containerd" },
    ],
    "a system service": ["system.slice/sshd.service", undefined],
    "the root": ["", undefined],
    "CRI-O's monitor": [`kubepods-pod${slice}.slice/crio-conmon-${id}.scope`, undefined],
    "an id that is too short": [`docker-${id.slice(1)}.scope`, undefined],
    "an id that is too long": [`docker-${id}0.scope`, undefined],
  };
  test.each(Object.entries(cases))("%s", (_name, [cgroup, want]) => {
    expect(parseContainerRef(cgroup)).toEqual(want);
  });
});

describe("workload", () => {
  const owner = (kind: string, name: string, controller = true) => ({
    metadata: {
      name: "p",
      labels: { "pod-template-hash": "7d4b9c" },
      ownerReferences: [{ apiVersion: "v1", kind, name, uid: "u", controller }],
    },
  });
  const cases: Record<string, [pod: PodObject, want: [string, string]]> = {
    "a ReplicaSet of a Deployment": [owner("ReplicaSet", "web-7d4b9c"), ["web", "Deployment"]],
    "a ReplicaSet of its own": [owner("ReplicaSet", "web-other"), ["web-other", "ReplicaSet"]],
    "a DaemonSet": [owner("DaemonSet", "agent"), ["agent", "DaemonSet"]],
    "a Job": [owner("Job", "import"), ["import", "Job"]],
    "a Job of a CronJob": [owner("Job", "backup-29876543"), ["backup", "CronJob"]],
    "a StatefulSet": [owner("StatefulSet", "db"), ["db", "StatefulSet"]],
    "no controller": [owner("Thing", "x", false), ["p", "Pod"]],
    "no owner": [{ metadata: { name: "p" } }, ["p", "Pod"]],
  };
  test.each(Object.entries(cases))("%s", (_name, [pod, [name, kind]]) => {
    expect(podWorkload(pod)).toEqual({ name, kind });
  });
});

describe("context", () => {
  const status = (name: string, containerID: string) => ({
    name,
    containerID: `containerd://${containerID}`,
    image: name,
    imageID: `${name}@1`,
  });
  const other = "f".repeat(64);

  test.each(["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"])(
    "is found in %s",
    (list) => {
      const pod = { metadata: { name: "p" }, status: { [list]: [status("it", id)] } };
      const { context, complete } = makePodContext(pod, { id });
      expect(complete).toBe(true);
      expect(context.container).toMatchObject({
        name: "it",
        id: `containerd://${id}`,
        image: { name: "it", id: "it@1" },
      });
    },
  );

  const podOf = (...names: string[]): PodObject => ({
    metadata: { name: "p" },
    spec: { containers: names.map((name) => ({ name, securityContext: { privileged: true } })) },
  });

  test("until the kubelet names the container, its runtime does, without the digest of the image", () => {
    const facts = { name: "it", image: "it:1", isSandbox: false };
    const { context, complete } = makePodContext(podOf("it"), { id }, facts);
    expect(complete).toBe(false);
    expect(context.container).toMatchObject({
      name: "it",
      image: { name: "it:1", id: "" },
      privileged: true,
    });
  });

  test("of a sandbox is complete without a container's name", () => {
    const { context, complete } = makePodContext(podOf("it"), { id }, { isSandbox: true });
    expect([complete, context.container.name]).toEqual([true, undefined]);
  });

  test("the container before a restart has its own start", () => {
    const restarted = {
      ...status("it", other),
      state: { running: { startedAt: "2026-01-02T00:00:00Z" } },
      lastState: { terminated: { containerID: `containerd://${id}`, startedAt: "2026-01-01T00:00:00Z" } },
    };
    const pod = { metadata: { name: "p" }, status: { containerStatuses: [restarted] } };
    const starts = [id, other].map((which) => makePodContext(pod, { id: which }).context.container.startTime);
    expect(starts).toEqual(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]);
  });

  test("privileged and probes come from the container's own spec", () => {
    const probe = { exec: { command: ["ok"] } };
    const pod = {
      metadata: { name: "p" },
      spec: {
        containers: [
          { name: "a" },
          { name: "b", securityContext: { privileged: true }, readinessProbe: probe },
        ],
      },
      status: { containerStatuses: [status("a", other), status("b", id)] },
    };
    expect(makePodContext(pod, { id }).context.container).toMatchObject({
      privileged: true,
      probeCommands: [["ok"]],
    });
    expect(makePodContext(pod, { id: other }).context.container).toMatchObject({
      privileged: false,
      probeCommands: [],
    });
  });
});

describe("store", () => {
  const named = (name: string, containerID: string): PodObject => ({
    metadata: { name, uid: name },
    status: { containerStatuses: [{ name: "c", containerID: `containerd://${containerID}` }] },
  });

  test("deleted pods are kept up to a bound", () => {
    const store = new PodStore({ deletedCapacity: 1 });
    for (const name of ["a", "b"]) {
      store.put(named(name, name));
      store.delete(named(name, name));
    }
    expect(store.find("a", "a")).toBeUndefined();
    expect(store.find("b", undefined)?.metadata.name).toBe("b");
    expect(store.size).toBe(0);
  });

  test("a crash loop's old containers lead to their state, the oldest are forgotten", () => {
    const store = new PodStore();
    for (let i = 0; i < 100; i++) store.put(named("p", `c${i}`));
    expect(store.find("c98", undefined)?.status?.containerStatuses?.[0]?.containerID).toBe(
      "containerd://c98",
    );
    expect(store.find("c0", undefined)).toBeUndefined();
    expect(store.size).toBe(1);
  });

  test("a static pod is found by the uid that its cgroups have", () => {
    const store = new PodStore();
    const annotations = { "kubernetes.io/config.mirror": "hash" };
    store.put({ metadata: { name: "kube-proxy", uid: "u", annotations } });
    expect(store.find("unknown", "hash")?.metadata.name).toBe("kube-proxy");
    expect(store.size).toBe(1);
  });
});

test("parsing keeps annotations for events only if they are wanted", () => {
  const pod = { metadata: { name: "p", annotations: { team: "x" } } };
  expect(parsePod(pod)).not.toHaveProperty("shownAnnotations");
  expect(parsePod(pod, { withAnnotations: true }).shownAnnotations).toEqual({ team: "x" });
});

test("parsing keeps what events need and drops the rest", () => {
  const parsed = parsePod({
    metadata: {
      name: "p",
      namespace: "n",
      uid,
      resourceVersion: "5",
      annotations: { big: "x" },
      managedFields: [],
    } as never,
    spec: { containers: [{ name: "c", env: [{ name: "SECRET" }] }], volumes: [] },
  } as never);
  expect(parsed).toEqual({
    metadata: { name: "p", namespace: "n", uid, resourceVersion: "5", annotations: {} },
    spec: { containers: [{ name: "c" }], initContainers: [], ephemeralContainers: [] },
  });
});
