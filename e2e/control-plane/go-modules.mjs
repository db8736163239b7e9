/**
 * The Go modules that a cluster's programs are built from, and the one way to build them. JavaScript, because
 * bootstrap.mjs starts the long build before there is a Node that reads TypeScript.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "../cache.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));

/**
 * @typedef {object} GoModule
 * @property {string} directory Holds go.mod, go.sum and, for programs of our own, their sources.
 * @property {string} [version] The linker's -X flags, for programs that tell their version.
 * @property {string} [tags] Build tags, separated by commas.
 * @property {string} [compiler] Flags of the compiler for all packages, after those that every module gets.
 * @property {string} [script] Of the directory: does what `go build` does, after a directory for what it keeps.
 * @property {string} estimate Printed before a first build.
 */

const KUBERNETES_VERSION = "v1.36.3";

/** Major and minor version of Kubernetes, as in `1.36`. */
export const KUBERNETES_MINOR = KUBERNETES_VERSION.slice(1).split(".").slice(0, 2).join(".");

const VERSION = "-X k8s.io/component-base/version";
const [MAJOR, MINOR] = KUBERNETES_MINOR.split(".");

/** The package of Kubernetes that no machine has and Debian does not offer: API server, controllers, scheduler, kubelet. */
export const KUBERNETES_PROGRAM = "./servers";

/** Passes of the compiler that make programs faster and that it can do without. They take a twentieth of its time. */
const LEFT_OUT = ["prove", "sccp", "branchelim", "memcombine", "phiopt"];

/** @type {GoModule} Two programs of several parts each: parts/parts.go says why. */
export const KUBERNETES_MODULE = {
  directory: join(HERE, "kubernetes"),
  script: "build.sh",
  compiler: `-d=${LEFT_OUT.map((pass) => `ssa/${pass}/off`).join(",")}`,
  version: `${VERSION}.gitVersion=${KUBERNETES_VERSION} ${VERSION}.gitMajor=${MAJOR} ${VERSION}.gitMinor=${MINOR}`,
  estimate: "4 to 12 minutes on two cores the first time, seconds later",
};

/** @type {GoModule} */
export const CONTAINERD_MODULE = {
  directory: join(HERE, "containerd"),
  tags: "no_btrfs,no_devmapper,no_zfs",
  estimate: "about a minute the first time",
};

/** @type {GoModule} */
export const GITOPS_MODULE = {
  directory: join(HERE, "gitops"),
  estimate: "about 4 minutes on two cores the first time, seconds later",
};

/** @type {GoModule} */
export const GRPC_CLIENTS_MODULE = {
  directory: join(HERE, "../clients/go"),
  estimate: "half a minute the first time",
};

/** @type {GoModule} */
export const PROMETHEUS_MODULE = {
  directory: join(HERE, "../clients/prometheus"),
  tags: "remove_all_sd",
  estimate: "some minutes on two cores the first time",
};

/**
 * For `go build`. Debug information is not made: it would be left out at the end. Kubernetes' packages are compiled
 * without inlining, which takes a third less time.
 * @param {Pick<GoModule, "version" | "tags" | "compiler">} module
 */
function flags({ version = "", tags = "", compiler: own = "" }) {
  const all = `-dwarf=false ${own}`.trim();
  const compiler = [`-gcflags=all=${all}`, `-gcflags=k8s.io/...=${all} -l`];
  return ["-trimpath", ...compiler, `-tags=${tags}`, `-ldflags=-s -w ${version}`];
}

/**
 * Where a module's programs are kept; named by a hash of all that they are built from, so that a new version never uses
 * an old program.
 * @param {GoModule} module
 * @param {NodeJS.ProcessEnv} environment
 */
export function cachePath(module, environment) {
  const hash = createHash("sha256").update(flags(module).join(" "));
  for (const file of readdirSync(module.directory, { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(module.directory, file);
    if (statSync(path).isFile()) hash.update(readFileSync(path));
  }
  return join(cacheDirectory(environment), "binaries", hash.digest("hex").slice(0, 16));
}

/**
 * The command that builds packages of a module, for its directory.
 * @param {Pick<GoModule, "version" | "tags" | "compiler">} module
 * @param {string[]} args Output and packages.
 * @param {string[]} build What takes the arguments.
 */
export function goBuildAlone(module, args, build = ["go", "build"]) {
  return [
    "env",
    "CGO_ENABLED=0",
    "GOFLAGS=-mod=readonly",
    // The compiler collects no garbage unless it would need much memory.
    "GOGC=off",
    "GOMEMLIMIT=1GiB",
    ...build,
    ...flags(module),
    ...args,
  ];
}

/**
 * Where `goBuild` leaves a module's programs: all of them, and what it has linked it does not link again.
 * @param {GoModule} module
 * @param {NodeJS.ProcessEnv} environment
 */
export function buildPath(module, environment) {
  return `${cachePath(module, environment)}.built`;
}

/**
 * The same for a module that others may build at the same time, into `buildPath`: its lock makes a second build wait,
 * which then has nothing left to do. It is one process: who ends it ends the build.
 * @param {GoModule} module
 * @param {NodeJS.ProcessEnv} environment
 * @param {string[]} packages
 */
export function goBuild(module, environment, packages) {
  const path = cachePath(module, environment);
  const build = module.script ? ["sh", module.script, `${path}.modules`] : ["go", "build"];
  const args = ["-o", `${buildPath(module, environment)}/`, ...packages];
  return ["flock", "--no-fork", `${path}.lock`, ...goBuildAlone(module, args, build)];
}
