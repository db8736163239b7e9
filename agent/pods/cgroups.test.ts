import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type CgroupDirectory, type CgroupPlace, CgroupTree, placeOf, readCgroups } from "./cgroups.ts";

const UID = "12345678-1234-1234-1234-123456789abc";
const UNDERSCORES = UID.replaceAll("-", "_");
const ID = "0123456789abcdef".repeat(4);
const OTHER = "f".repeat(64);
const pod: CgroupPlace = { kind: "pod", uid: UID };
const container: CgroupPlace = { kind: "pod", uid: UID, containerId: ID };

describe("what a cgroup is, by its path", () => {
  const cases: Record<string, [path: string, want: CgroupPlace]> = {
    "a service of the host": ["system.slice/sshd.service", { kind: "host" }],
    "a container outside of pods": [`system.slice/docker-${ID}.scope`, { kind: "host" }],
    "the pods' own, driver cgroupfs": ["kubepods", { kind: "pods" }],
    "those of a class of pods": ["kubepods/besteffort", { kind: "pods" }],
    "the pods' own, driver systemd": ["kubepods.slice/kubepods-burstable.slice", { kind: "pods" }],
    "the pods' own in a node of kind": ["kubelet.slice/kubelet-kubepods.slice", { kind: "pods" }],
    "a pod, driver cgroupfs": [`kubepods/burstable/pod${UID}`, pod],
    "a guaranteed pod": [`kubepods/pod${UID}`, pod],
    "a pod, driver systemd": [
      `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UNDERSCORES}.slice`,
      pod,
    ],
    "a pod in a node of kind": [
      `kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${UNDERSCORES}.slice`,
      pod,
    ],
    "a container, driver cgroupfs": [`kubepods/pod${UID}/${ID}`, container],
    "a container of containerd": [
      `kubepods.slice/kubepods-pod${UNDERSCORES}.slice/cri-containerd-${ID}.scope`,
      container,
    ],
    "a container of CRI-O": [`kubepods.slice/kubepods-pod${UNDERSCORES}.slice/crio-${ID}.scope`, container],
    "a container of docker": [
      `kubepods.slice/kubepods-pod${UNDERSCORES}.slice/docker-${ID}.scope`,
      container,
    ],
    "the monitor of a container": [
      `kubepods.slice/kubepods-pod${UNDERSCORES}.slice/crio-conmon-${ID}.scope`,
      { kind: "host" },
    ],
    "what a container has made": [`kubepods/pod${UID}/${ID}/init.scope`, container],
    "what a container has made in a monitor's name": [
      `kubepods/pod${UID}/${ID}/crio-conmon-${OTHER}.scope`,
      container,
    ],
    "a container in a container": [`kubepods/pod${UID}/${ID}/docker/${OTHER}`, container],
    "pods in a container": [`kubepods/pod${UID}/${ID}/kubepods/pod${UID.replace("1", "2")}`, container],
  };
  test.each(Object.entries(cases))("%s", (_name, [path, want]) => {
    expect(path.split("/").reduce<CgroupPlace>(placeOf, { kind: "host" })).toEqual(want);
  });
});

describe("the tree", () => {
  const directories: CgroupDirectory[] = [
    { id: 2n, parentId: 1n, name: "kubepods" },
    { id: 3n, parentId: 2n, name: `pod${UID}` },
    { id: 4n, parentId: 3n, name: ID },
  ];
  const idsOf = (tree: CgroupTree) => [...tree.ofPod(UID)].map(({ id }) => id);
  const makeTree = () => {
    const tree = new CgroupTree();
    for (const directory of directories) tree.add(directory);
    return tree;
  };

  test("finds the cgroups of a pod", () => {
    expect(idsOf(makeTree())).toEqual([3n, 4n]);
  });

  test("takes a cgroup twice for one", () => {
    const tree = makeTree();
    tree.add(directories[2] as CgroupDirectory);
    expect(idsOf(tree)).toEqual([3n, 4n]);
  });

  test("forgets what is removed", () => {
    const tree = makeTree();
    tree.remove(4n);
    tree.remove(4n);
    expect(idsOf(tree)).toEqual([3n]);
    tree.remove(3n);
    expect(idsOf(tree)).toEqual([]);
    expect([...tree.all()].map(({ id }) => id)).toEqual([2n]);
  });
});

describe("directories", () => {
  const root = mkdtempSync(join(tmpdir(), "cgroups-"));
  afterAll(() => rmSync(root, { recursive: true }));

  test("are visited parents first, each with the id of its parent; files are not", () => {
    mkdirSync(join(root, "a/b"), { recursive: true });
    writeFileSync(join(root, "a/cgroup.procs"), "");
    const ids = ["", "a", "a/b"].map((path) => statSync(join(root, path), { bigint: true }).ino);
    const visited: CgroupDirectory[] = [];
    readCgroups(root, (directory) => visited.push(directory));
    expect(visited).toEqual([
      { id: ids[1], parentId: ids[0], name: "a" },
      { id: ids[2], parentId: ids[1], name: "b" },
    ]);
  });

  test("that are not there are none", () => {
    readCgroups(join(root, "missing"), () => expect.unreachable());
  });
});
