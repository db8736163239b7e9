/**
 * Finds or builds the programs of a cluster. It tries in this order: KUBEBUILDER_ASSETS, PATH (both only with a
 * suitable version), the cache, packages of Debian's newest release, and a build from the Go modules beside this file.
 */
import { copyFile, link, mkdir, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";
import { unpackPackages, type WantedPackage } from "./debian.ts";
import {
  buildPath,
  CONTAINERD_MODULE,
  cachePath,
  GITOPS_MODULE,
  type GoModule,
  GRPC_CLIENTS_MODULE,
  goBuild,
  KUBERNETES_MINOR,
  KUBERNETES_MODULE,
  KUBERNETES_PROGRAM,
  PROMETHEUS_MODULE,
} from "./go-modules.mjs";
import type { Program, Programs } from "./locate.ts";
import * as locations from "./locate.ts";

const kubernetes = (versionArgs = ["--version"]): Program => ({
  module: KUBERNETES_MODULE,
  package: KUBERNETES_PROGRAM,
  versionArgs,
  fits: new RegExp(`\\bv${KUBERNETES_MINOR.replace(".", "\\.")}\\.`),
});

const containerd = (name: string, versionArgs: string[]): Program => ({
  module: CONTAINERD_MODULE,
  package: `github.com/containerd/containerd/v2/cmd/${name}`,
  versionArgs,
  debian: "containerd",
  fits: /\bv?2\.[1-9]/,
});

const PROGRAMS = {
  etcd: {
    module: KUBERNETES_MODULE,
    package: "./etcd-kubectl",
    debian: "etcd-server",
    versionArgs: ["--version"],
    fits: /etcd Version: 3\.[56]\./,
  },
  "kube-apiserver": kubernetes(),
  kubectl: { ...kubernetes(["version", "--client"]), package: "./etcd-kubectl", debian: "kubectl" },
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
    debian: "protoc-gen-go",
    versionArgs: ["--version"],
    fits: /protoc-gen-go v1\.36\./,
  },
  "protoc-gen-go-grpc": {
    module: GRPC_CLIENTS_MODULE,
    package: "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    debian: "protoc-gen-go-grpc",
    versionArgs: ["--version"],
    fits: /protoc-gen-go-grpc 1\.6\./,
  },
  prometheus: {
    module: PROMETHEUS_MODULE,
    package: "github.com/prometheus/prometheus/cmd/prometheus",
    debian: "prometheus",
    versionArgs: ["--version"],
    fits: /prometheus, version 3\./,
  },
  promtool: {
    module: PROMETHEUS_MODULE,
    package: "github.com/prometheus/prometheus/cmd/promtool",
    debian: "promtool",
    versionArgs: ["--version"],
    fits: /promtool, version 3\./,
  },
} satisfies Programs;

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

/** Finds each program, and builds what is missing. What it downloads are sources, and Debian packages that apt verifies. */
export async function findBinaries<Name extends ProgramName>(
  names: readonly Name[],
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<Binaries<Name>> {
  const found = await locate(names, environment, progress);
  const missing = new Map<GoModule, ProgramName[]>();
  for (const name of names) {
    if (found.has(name)) continue;
    const { module } = PROGRAMS[name];
    missing.set(module, [...(missing.get(module) ?? []), name]);
  }
  for (const [module, toBuild] of missing) {
    await step(progress, `build ${toBuild.join(", ")} from Go modules (${module.estimate})`, () =>
      build(module, toBuild, environment),
    );
    for (const name of toBuild) found.set(name, join(cachePath(module, environment), name));
  }
  return Object.fromEntries(found) as Binaries<Name>;
}

/** Paths of the programs that need no build, by name. */
export function locate(
  names: readonly ProgramName[],
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<Map<string, string>> {
  const unpack = (wanted: WantedPackage[]) => unpackFromDebian(wanted, environment, progress);
  return locations.locate(PROGRAMS, names, environment, unpack);
}

/** Packages that this process has asked for in vain. It asks once. */
const refused = new Set<string>();

async function unpackFromDebian(
  all: WantedPackage[],
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<void> {
  const wanted = all.filter(({ name }) => !refused.has(name));
  if (wanted.length === 0) return;
  const names = wanted.map(({ name }) => name);
  const directory = locations.packagesDirectory(environment);
  const left = await step(progress, `unpack Debian's ${names.join(", ")}`, () =>
    unpackPackages(wanted, directory),
  ).catch((error: Error) => {
    progress(error.message.trimEnd().split("\n").at(-1) as string);
    return names;
  });
  for (const name of left) refused.add(name);
  if (left.length > 0) progress(`no Debian package fits for ${left.join(", ")}: building from Go modules`);
}

/** Whether a program has to be built, which takes minutes. */
export async function isProgramMissing(name: ProgramName, environment: NodeJS.ProcessEnv): Promise<boolean> {
  const path =
    (await locations.findInstalled(PROGRAMS, name, environment)) ?? (await findCached(name, environment));
  return path === undefined;
}

/** Undefined: it has neither been built nor unpacked. */
export function findCached(name: ProgramName, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  return locations.findCached(PROGRAMS, name, environment);
}

async function build(module: GoModule, names: ProgramName[], environment: NodeJS.ProcessEnv): Promise<void> {
  const target = cachePath(module, environment);
  await mkdir(dirname(target), { recursive: true });
  const packages = [...new Set(names.map((name) => PROGRAMS[name].package))];
  const [program = "", ...args] = goBuild(module, environment, packages);
  await runProgram(program, args, { cwd: module.directory });
  await mkdir(target, { recursive: true });
  for (const path of packages) await addLink(buildPath(module, environment), target, basename(path));
  for (const path of packages.filter(hasParts)) {
    for (const name of partsOf(module, path)) await linkPart(target, name, basename(path));
  }
}

/** Another name of the same file, or a copy: it stays if what is built there later is another one. */
async function addLink(from: string, to: string, name: string): Promise<void> {
  const next = join(to, `.${name}.${process.pid}`);
  const built = join(from, name);
  await link(built, next).catch(() => copyFile(built, next));
  await rename(next, join(to, name));
}

/** Whether a package is a program of several parts. */
const hasParts = (path: string) => path.startsWith("./");

function partsOf(module: GoModule, path: string): string[] {
  const all = Object.entries<Program>(PROGRAMS);
  return all
    .filter(([, program]) => program.module === module && program.package === path)
    .map(([name]) => name);
}

async function linkPart(directory: string, name: string, program: string): Promise<void> {
  const link = join(directory, name);
  await rm(link, { force: true });
  await symlink(program, link);
}
