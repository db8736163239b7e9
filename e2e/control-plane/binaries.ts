/**
 * Finds or builds the programs of a cluster. It tries in this order: KUBEBUILDER_ASSETS, PATH (both only with a
 * suitable version), the cache, and a build from the Go modules beside this file.
 */
import { createHash } from "node:crypto";
import { access, constants, mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../cache.ts";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";

const KUBERNETES = { version: "v1.36.3", minor: "1.36" };

interface GoModule {
  directory: string;
  /** Sources of its own, besides go.mod and go.sum. */
  sources?: string[];
  flags: string[];
  /** Printed before a first build. */
  estimate: string;
}

const KUBERNETES_MODULE: GoModule = {
  directory: join(import.meta.dirname, "kubernetes"),
  flags: [
    "-ldflags",
    [
      "-s -w",
      `-X k8s.io/component-base/version.gitVersion=${KUBERNETES.version}`,
      `-X k8s.io/component-base/version.gitMajor=${KUBERNETES.minor.split(".")[0]}`,
      `-X k8s.io/component-base/version.gitMinor=${KUBERNETES.minor.split(".")[1]}`,
    ].join(" "),
  ],
  estimate: "about 5 minutes on two cores the first time, seconds later",
};

const CONTAINERD_MODULE: GoModule = {
  directory: join(import.meta.dirname, "containerd"),
  flags: ["-tags", "no_btrfs,no_devmapper,no_zfs", "-ldflags", "-s -w"],
  estimate: "about a minute the first time",
};

const GITOPS_MODULE: GoModule = {
  directory: join(import.meta.dirname, "gitops"),
  sources: ["gitops-health/main.go"],
  flags: ["-ldflags", "-s -w"],
  estimate: "about 4 minutes on two cores the first time, seconds later",
};

const CLIENTS = join(import.meta.dirname, "../clients");

const GRPC_CLIENTS_MODULE: GoModule = {
  directory: join(CLIENTS, "go"),
  flags: ["-ldflags", "-s -w"],
  estimate: "half a minute the first time",
};

const PROMETHEUS_MODULE: GoModule = {
  directory: join(CLIENTS, "prometheus"),
  flags: ["-tags", "remove_all_sd", "-ldflags", "-s -w"],
  estimate: "some minutes on two cores the first time",
};

interface Program {
  module: GoModule;
  package: string;
  versionArgs: string[];
  /** Pattern that the output of an installed program's version must match. */
  fits: RegExp;
}

const kubernetes = (name: string, versionArgs = ["--version"]): Program => ({
  module: KUBERNETES_MODULE,
  package: `k8s.io/kubernetes/cmd/${name}`,
  versionArgs,
  fits: new RegExp(`\\bv${KUBERNETES.minor.replace(".", "\\.")}\\.`),
});

const containerd = (name: string, versionArgs: string[]): Program => ({
  module: CONTAINERD_MODULE,
  package: `github.com/containerd/containerd/v2/cmd/${name}`,
  versionArgs,
  fits: /\bv?2\.3\./,
});

const PROGRAMS = {
  etcd: {
    module: KUBERNETES_MODULE,
    package: "go.etcd.io/etcd/server/v3",
    versionArgs: ["--version"],
    fits: /etcd Version: 3\.[56]\./,
  },
  "kube-apiserver": kubernetes("kube-apiserver"),
  kubectl: kubernetes("kubectl", ["version", "--client"]),
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-scheduler": kubernetes("kube-scheduler"),
  kubelet: kubernetes("kubelet"),
  containerd: containerd("containerd", ["--version"]),
  "containerd-shim-runc-v2": containerd("containerd-shim-runc-v2", ["-v"]),
  ctr: containerd("ctr", ["--version"]),
  helm: {
    module: GITOPS_MODULE,
    package: "helm.sh/helm/v4/cmd/helm",
    versionArgs: ["version", "--short"],
    fits: /^v4\./,
  },
  "gitops-health": {
    module: GITOPS_MODULE,
    package: "trigon.dev/e2e/gitops/gitops-health",
    versionArgs: [],
    fits: /^(?!)/, // our own: never an installed one
  },
  grpcurl: {
    module: GRPC_CLIENTS_MODULE,
    package: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    versionArgs: ["-version"],
    fits: /grpcurl v?1\.9\./,
  },
  "protoc-gen-go": {
    module: GRPC_CLIENTS_MODULE,
    package: "google.golang.org/protobuf/cmd/protoc-gen-go",
    versionArgs: ["--version"],
    fits: /protoc-gen-go v1\.36\./,
  },
  "protoc-gen-go-grpc": {
    module: GRPC_CLIENTS_MODULE,
    package: "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    versionArgs: ["--version"],
    fits: /protoc-gen-go-grpc 1\.6\./,
  },
  prometheus: {
    module: PROMETHEUS_MODULE,
    package: "github.com/prometheus/prometheus/cmd/prometheus",
    versionArgs: ["--version"],
    fits: /prometheus, version 3\./,
  },
  promtool: {
    module: PROMETHEUS_MODULE,
    package: "github.com/prometheus/prometheus/cmd/promtool",
    versionArgs: ["--version"],
    fits: /promtool, version 3\./,
  },
} satisfies Record<string, Program>;

/** A program that can be found or built. */
export type ProgramName = keyof typeof PROGRAMS;

/** Programs for an API server alone. */
export const API_SERVER_PROGRAMS = ["etcd", "kube-apiserver", "kubectl"] as const satisfies ProgramName[];

/** Helm, and what judges objects as GitOps tools do. */
export const GITOPS_PROGRAMS = ["helm", "gitops-health"] as const satisfies ProgramName[];

/** Programs that read metrics. */
export const METRICS_READERS = ["prometheus", "promtool"] as const satisfies ProgramName[];

/** Programs for a cluster with nodes. */
export const CLUSTER_PROGRAMS = [
  ...API_SERVER_PROGRAMS,
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
] as const satisfies ProgramName[];

/** A program of a cluster. */
export type ClusterProgram = (typeof CLUSTER_PROGRAMS)[number];

/** Absolute path of each requested program. */
export type Binaries<Name extends ProgramName = ClusterProgram> = Record<Name, string>;

/** Finds each program, builds what is missing, and never downloads a binary. */
export async function findBinaries<Name extends ProgramName>(
  names: readonly Name[],
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<Binaries<Name>> {
  const found: Partial<Record<ProgramName, string>> = {};
  const missing = new Map<GoModule, ProgramName[]>();
  for (const name of names) {
    const path = (await findInstalled(name, environment)) ?? (await findCached(name, environment));
    if (path) found[name] = path;
    else missing.set(PROGRAMS[name].module, [...(missing.get(PROGRAMS[name].module) ?? []), name]);
  }
  for (const [module, toBuild] of missing) {
    await step(progress, `build ${toBuild.join(", ")} from Go modules (${module.estimate})`, () =>
      build(module, toBuild, environment),
    );
    for (const name of toBuild) found[name] = join(await cachePath(module, environment), name);
  }
  return found as Binaries<Name>;
}

async function findInstalled(name: ProgramName, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const assets = environment.KUBEBUILDER_ASSETS;
  const directories = [...(assets ? [assets] : []), ...(environment.PATH ?? "").split(":").filter(Boolean)];
  for (const directory of directories) {
    const path = join(directory, name);
    if ((await isExecutable(path)) && (await versionFits(name, path))) return path;
  }
  return undefined;
}

async function versionFits(name: ProgramName, path: string): Promise<boolean> {
  const { versionArgs, fits } = PROGRAMS[name];
  return runProgram(path, versionArgs).then(
    (text) => fits.test(text),
    () => false,
  );
}

async function findCached(name: ProgramName, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const path = join(await cachePath(PROGRAMS[name].module, environment), name);
  return (await isExecutable(path)) ? path : undefined;
}

const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** Named by a hash of all sources, so that a new version never uses an old binary. */
async function cachePath(module: GoModule, environment: NodeJS.ProcessEnv): Promise<string> {
  const hash = createHash("sha256").update(module.flags.join(" "));
  for (const file of ["go.mod", "go.sum", ...(module.sources ?? [])])
    hash.update(await readFile(join(module.directory, file)));
  return join(cacheDirectory(environment), "binaries", hash.digest("hex").slice(0, 16));
}

/** A lock prevents two runs from compiling the same program at once; the second one finds it in Go's cache. */
async function build(module: GoModule, names: ProgramName[], environment: NodeJS.ProcessEnv): Promise<void> {
  const target = await cachePath(module, environment);
  const work = `${target}.${process.pid}`;
  await mkdir(work, { recursive: true });
  const packages = names.map((name) => PROGRAMS[name].package);
  const go = ["go", "build", "-trimpath", ...module.flags, "-o", `${work}/`, ...packages];
  await runProgram("flock", [`${target}.lock`, "env", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", ...go], {
    cwd: module.directory,
  });
  await mkdir(target, { recursive: true });
  for (const name of names) {
    await rename(join(work, builtName(PROGRAMS[name].package)), join(target, name));
  }
  await runProgram("rm", ["-rf", work]);
}

/** Go names a binary after the package's last path element that is not a major version. */
function builtName(packagePath: string): string {
  const parts = packagePath.split("/").filter((part) => !/^v\d+$/.test(part));
  return parts.at(-1) ?? packagePath;
}
