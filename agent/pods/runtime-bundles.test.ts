import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ContainerFacts, RuntimeBundles } from "./runtime-bundles.ts";

const ID = "0123456789abcdef".repeat(4);
const UID = "12345678-1234-1234-1234-123456789abc";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bundles-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, content: unknown): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
}

const CONTAINERD = `run/containerd/io.containerd.runtime.v2.task/k8s.io/${ID}/config.json`;
const CRI_O = `run/containers/storage/overlay-containers/${ID}/userdata/config.json`;
const DOCKER = `var/lib/docker/containers/${ID}/config.v2.json`;

const cases: Record<string, { path: string; content: unknown; want: ContainerFacts | undefined }> = {
  "a container of containerd": {
    path: CONTAINERD,
    content: {
      annotations: {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.image-name": "docker.io/library/nginx:1",
        "io.kubernetes.cri.sandbox-uid": UID,
      },
    },
    want: { name: "web", image: "docker.io/library/nginx:1", podUid: UID, isSandbox: false },
  },
  "a sandbox of containerd": {
    path: CONTAINERD,
    content: {
      annotations: {
        "io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri.sandbox-uid": UID,
      },
    },
    want: { podUid: UID, isSandbox: true },
  },
  "a container of CRI-O": {
    path: CRI_O,
    content: {
      annotations: {
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.container.name": "web",
        "io.kubernetes.cri-o.ImageName": "quay.io/web:2",
        "io.kubernetes.pod.uid": UID,
      },
    },
    want: { name: "web", image: "quay.io/web:2", podUid: UID, isSandbox: false },
  },
  "a container of docker": {
    path: DOCKER,
    content: {
      Config: {
        Image: "nginx@sha256:00",
        Labels: {
          "io.kubernetes.docker.type": "container",
          "io.kubernetes.container.name": "web",
          "io.kubernetes.pod.uid": UID,
        },
      },
    },
    want: { name: "web", image: "nginx@sha256:00", podUid: UID, isSandbox: false },
  },
  "a sandbox of docker": {
    path: DOCKER,
    content: {
      Config: { Labels: { "io.kubernetes.docker.type": "podsandbox", "io.kubernetes.pod.uid": UID } },
    },
    want: { podUid: UID, isSandbox: true },
  },
  "a container that is no pod's": { path: DOCKER, content: { Config: { Image: "nginx" } }, want: undefined },
  "a file that is damaged": { path: CONTAINERD, content: "{", want: undefined },
};

test.each(Object.entries(cases))("%s", (_name, { path, content, want }) => {
  write(path, content);
  expect(new RuntimeBundles(root).find(ID)).toEqual(want);
});

test("what was read is kept when the runtime has removed the container", () => {
  write(CONTAINERD, cases["a container of containerd"]?.content);
  const bundles = new RuntimeBundles(root);
  bundles.find(ID);
  rmSync(join(root, CONTAINERD));
  expect(bundles.find(ID)?.name).toBe("web");
});
