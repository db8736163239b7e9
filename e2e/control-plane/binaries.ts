/**
 * Finds or builds the programs of a cluster. It tries in this order: KUBEBUILDER_ASSETS, PATH (both only with a
 * suitable version), the cache, and a build from the Go modules beside this file.
 */
import { access, constants, mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";
import {
  CONTAINERD_MODULE,
  cachePath,
  GITOPS_MODULE,
  type GoModule,
  GRPC_CLIENTS_MODULE,
  goBuild,
  KUBERNETES_MINOR,
  KUBERNETES_MODULE,
  PROMETHEUS_MODULE,
} from "./go-modules.mjs";

interface Program {
  module: GoModule;
  /** What is built: a package, or the module's own program, of which this is a part. */
  package: string;
  versionArgs: string[];
  /** Pattern that the output of an installed program's version must match. */
  fits: RegExp;
}

const kubernetes = (versionArgs = ["--version"]): Program => ({
  module: KUBERNETES_MODULE,
  package: ".",
  versionArgs,
  fits: new RegExp(`\\bv${KUBERNETES_MINOR.replace(".", "\\.")}\\.`),
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
    package: ".",
    versionArgs: ["--version"],
    fits: /etcd Version: 3\.[56]\./,
  },
  "kube-apiserver": kubernetes(),
  kubectl: kubernetes(["version", "--client"]),
  "kube-controller-manager": kubernetes(),
  "kube-scheduler": kubernetes(),
  kubelet: kubernetes(),
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
    for (const name of toBuild) found[name] = join(cachePath(module, environment), name);
  }
  return found as Binaries<Name>;
}

/** Whether a program has to be built, which takes minutes. */
export async function isProgramMissing(name: ProgramName, environment: NodeJS.ProcessEnv): Promise<boolean> {
  return ((await findInstalled(name, environment)) ?? (await findCached(name, environment))) === undefined;
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

/** Undefined: it has not been built. */
export async function findCached(
  name: ProgramName,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const path = join(cachePath(PROGRAMS[name].module, environment), name);
  return (await isExecutable(path)) ? path : undefined;
}

const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function build(module: GoModule, names: ProgramName[], environment: NodeJS.ProcessEnv): Promise<void> {
  const target = cachePath(module, environment);
  const work = `${target}.${process.pid}`;
  await mkdir(work, { recursive: true });
  const packages = [...new Set(names.map((name) => PROGRAMS[name].package))];
  const [program = "", ...args] = goBuild(module, environment, ["-o", `${work}/`, ...packages]);
  await runProgram(program, args, { cwd: module.directory });
  await mkdir(target, { recursive: true });
  for (const file of await readdir(work)) await rename(join(work, file), join(target, file));
  for (const name of partsOf(module)) await linkPart(target, name, module);
  await rm(work, { recursive: true });
}

/** Programs that the module's own one has in it. */
function partsOf(module: GoModule): ProgramName[] {
  const all = Object.entries<Program>(PROGRAMS) as [ProgramName, Program][];
  return all
    .filter(([, program]) => program.module === module && program.package === ".")
    .map(([name]) => name);
}

async function linkPart(directory: string, name: ProgramName, module: GoModule): Promise<void> {
  const link = join(directory, name);
  await rm(link, { force: true });
  await symlink(basename(module.directory), link);
}
