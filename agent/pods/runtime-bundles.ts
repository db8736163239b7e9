/** What the container runtime wrote down about a container when it made it. The kubelet reports it later, if at all. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A container as its runtime knows it. */
export interface ContainerFacts {
  /** Absent for the sandbox of a pod, which holds its namespaces. */
  name?: string;
  /** The image by its name, as the runtime has it. */
  image?: string;
  /** uid of the pod, as its cgroup has it. */
  podUid?: string;
  isSandbox: boolean;
}

/** A file that a runtime keeps per container, below the node's root. */
interface Layout {
  path(id: string): string;
  parse(file: Parsed): ContainerFacts | undefined;
}

/** The parts of config.json (OCI) and config.v2.json (docker) that are used. */
interface Parsed {
  annotations?: Record<string, string>;
  Config?: { Image?: string; Labels?: Record<string, string> };
}

const LAYOUTS: readonly Layout[] = [
  {
    path: (id) => `run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`,
    parse: ({ annotations = {} }) =>
      makeFacts(annotations["io.kubernetes.cri.container-type"], {
        name: annotations["io.kubernetes.cri.container-name"],
        image: annotations["io.kubernetes.cri.image-name"],
        podUid: annotations["io.kubernetes.cri.sandbox-uid"],
      }),
  },
  {
    path: (id) => `run/containers/storage/overlay-containers/${id}/userdata/config.json`,
    parse: ({ annotations = {} }) =>
      makeFacts(annotations["io.kubernetes.cri-o.ContainerType"], {
        name: annotations["io.kubernetes.container.name"],
        image: annotations["io.kubernetes.cri-o.ImageName"],
        podUid: annotations["io.kubernetes.pod.uid"],
      }),
  },
  {
    path: (id) => `var/lib/docker/containers/${id}/config.v2.json`,
    parse: ({ Config: { Image: image, Labels: labels = {} } = {} }) =>
      makeFacts(labels["io.kubernetes.docker.type"] === "podsandbox" ? "sandbox" : "container", {
        name: labels["io.kubernetes.container.name"],
        image,
        podUid: labels["io.kubernetes.pod.uid"],
      }),
  },
];

/** Containers whose facts are kept, so that events can be named after the runtime has removed its files. */
const MAX_KEPT = 4096;

/** Reads the files of containerd, CRI-O and docker, once per container. */
export class RuntimeBundles {
  readonly #root: string;
  readonly #kept = new Map<string, ContainerFacts | undefined>();

  /** `root`: the root directory of the node. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Undefined for a container of no runtime that is known, or one that has gone before it was asked for. */
  find(id: string): ContainerFacts | undefined {
    if (this.#kept.has(id)) return this.#kept.get(id);
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    const facts = this.#read(id);
    this.#kept.set(id, facts);
    return facts;
  }

  #read(id: string): ContainerFacts | undefined {
    for (const { path, parse } of LAYOUTS) {
      const file = readJson(join(this.#root, path(id)));
      if (file) return parse(file);
    }
    return undefined;
  }
}

function readJson(path: string): Parsed | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Parsed;
  } catch {
    return undefined; // another runtime's container, or one that is gone
  }
}

/** Undefined for containers that are no pod's. */
function makeFacts(
  type: string | undefined,
  { name, image, podUid }: Record<"name" | "image" | "podUid", string | undefined>,
): ContainerFacts | undefined {
  if (podUid === undefined) return undefined;
  if (type === "sandbox") return { podUid, isSandbox: true };
  return {
    ...(name !== undefined && { name }),
    ...(image !== undefined && { image }),
    podUid,
    isSandbox: false,
  };
}
