/**
 * The one entry point of package.json's scripts. Runs on the machine's own Node, before node_modules exists. Makes sure
 * that Debian packages, npm packages and builds are there, then starts the command with the project's Node. It prints to
 * stderr only, and nothing if there is nothing to do.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachePath, goBuild, KUBERNETES_MODULE, KUBERNETES_PROGRAM } from "./control-plane/go-modules.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE = join(ROOT, "node_modules/.bin/node");

/** Where Go is usually unpacked. Not every shell has this directory on its PATH. */
const GO_DIRECTORY = "/usr/local/go/bin";

/** @type {Record<string, { why: string, packages: string[] }>} */
const PACKAGES = {
  build: {
    why: "to compile the BPF programs and the addon",
    packages: ["g++", "make", "clang", "llvm", "libbpf-dev", "libelf-dev", "zlib1g-dev", "bpftool"],
  },
  format: {
    why: "to check the format of C and C++",
    packages: ["clang-format-19"],
  },
  guests: {
    why: "to boot Linux kernels in QEMU",
    packages: ["qemu-system-x86", "busybox-static", "cpio", "kmod", "xz-utils"],
  },
  cluster: {
    why: "to build the container image and to run Kubernetes nodes",
    packages: [
      "buildah",
      "runc",
      "containernetworking-plugins",
      "mmdebstrap",
      "uidmap",
      "iproute2",
      "ca-certificates",
    ],
  },
};

/**
 * `packages` must be installed. `wanted` ones are installed if possible: a test that lacks one is skipped and names it.
 * What is built: the agent's programs alone, or those of tests and benchmarks, too. `kubernetes`: it runs Kubernetes,
 * always or unless its arguments name something else.
 * @typedef {{
 *   entry?: string[],
 *   packages?: string[],
 *   wanted?: string[],
 *   build?: "agent" | "all",
 *   kubernetes?: "always" | "without arguments",
 * }} Command
 * @type {Record<string, Command>}
 */
const COMMANDS = {
  quickstart: {
    entry: ["e2e/quickstart.ts"],
    packages: ["build", "guests", "cluster"],
    build: "agent",
    kubernetes: "always",
  },
  test: {
    entry: ["e2e/test.ts"],
    wanted: ["build", "format", "guests", "cluster"],
    kubernetes: "without arguments",
  },
  "test:unit": { entry: ["e2e/test.ts", "unit"], wanted: ["build", "format"] },
  "test:kernel": { entry: ["e2e/test.ts", "--all-kernels", "kernel"], wanted: ["build", "guests"] },
  "test:cluster": {
    entry: ["e2e/test.ts", "cluster"],
    wanted: ["build", "guests", "cluster"],
    kubernetes: "always",
  },
  guest: { entry: ["e2e/guest/cli.ts"], packages: ["build", "guests"], build: "all" },
  cluster: {
    entry: ["e2e/control-plane/cli.ts"],
    packages: ["build", "guests", "cluster"],
    build: "all",
    kubernetes: "always",
  },
  e2e: { entry: ["e2e/on-cluster.ts"] },
  bench: { entry: ["bench/main.ts"], packages: ["build", "guests"], wanted: ["cluster"], build: "all" },
  build: { packages: ["build"], build: "all" },
  generate: { entry: ["e2e/generate.ts"], packages: ["build"] },
};

const BPF = { bpf: "the BPF object" };

/** By a command's `build`: arguments of make, and what it makes. */
const BUILDS = {
  agent: { ...BPF, "agent/native addon": "the addon" },
  all: {
    ...BPF,
    "agent/native": "the addon",
    "e2e/guest/programs": "the test programs",
    "bench/programs": "the programs of the benchmarks",
  },
};

const [name = "", ...args] = process.argv.slice(2);
if (name === "--prepare") await prepare(COMMANDS[args[0] ?? ""] ?? {});
else await main(name, args);

/** @param {string} name @param {string[]} args */
async function main(name, args) {
  const command = COMMANDS[name];
  if (!command)
    return fail(`usage: node e2e/bootstrap.mjs ${Object.keys(COMMANDS).join("|")} [ARGUMENT…]`, 2);
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const { kubernetes } = command;
  if (kubernetes === "always" || (kubernetes && args.length === 0)) startBuildingKubernetes();
  // Two commands that start at the same time must not both install and build.
  const lock = [
    join(ROOT, "build/bootstrap.lock"),
    process.execPath,
    fileURLToPath(import.meta.url),
    "--prepare",
    name,
  ];
  const prepared = spawnSync("flock", lock, { stdio: ["ignore", 2, 2] });
  if (prepared.status !== 0) return fail(`preparing \`npm run ${name}\` failed`, prepared.status ?? 1);
  if (command.entry) handOver([...command.entry, ...args]);
}

/**
 * What takes longest on a fresh machine starts first, and everything else happens meanwhile. The command waits for this
 * build by its lock, and says what it waits for. Ends with this process.
 */
function startBuildingKubernetes() {
  const directory = cachePath(KUBERNETES_MODULE, process.env);
  if (!hasGo(searchPath()) || existsSync(directory) || hasProgram(kubernetesPath(), "kube-apiserver")) return;
  mkdirSync(dirname(directory), { recursive: true });
  const build = goBuild(KUBERNETES_MODULE, process.env, [KUBERNETES_PROGRAM]);
  const child = spawn("setpriv", ["--pdeathsig", "TERM", ...build], {
    cwd: KUBERNETES_MODULE.directory,
    env: { ...process.env, PATH: searchPath() },
    stdio: "ignore",
  });
  // The command's own build says what is wrong.
  child.once("error", () => {});
  child.unref();
  process.once("exit", () => child.kill());
}

/** Where an installed Kubernetes is searched. */
function kubernetesPath() {
  return `${process.env.KUBEBUILDER_ASSETS ?? ""}:${process.env.PATH ?? ""}`;
}

/** @param {Command} command */
async function prepare(command) {
  // Debian's own Go is too old for Kubernetes.
  if (command.packages?.includes("cluster") && !hasGo(searchPath()))
    fail("Go is missing: install Go 1.26 or newer to build Kubernetes, and put it on PATH", 1);
  installPackages(command.packages ?? [], true);
  installPackages(command.wanted ?? [], false);
  /** @type {[string, string][]} */
  const builds = command.build ? Object.entries(BUILDS[command.build]) : [];
  /** @param {[string, string]} build */
  const start = ([target, what]) => make(target.split(" "), what);
  /** @param {[string, string]} build */
  const needsModules = ([target]) => target.startsWith("agent/native");
  // Compilers use the time that npm spends on the network.
  const early = builds.filter((build) => !needsModules(build)).map(start);
  installModules();
  await Promise.all([...early, ...builds.filter(needsModules).map(start)]);
}

/** @param {string[]} groups @param {boolean} required */
function installPackages(groups, required) {
  const missing = groups.flatMap((group) => {
    const packages = missingPackages(PACKAGES[group]?.packages ?? []);
    if (packages.length > 0) say(`installing Debian packages ${PACKAGES[group]?.why}: ${packages.join(" ")}`);
    return packages;
  });
  if (missing.length === 0) return;
  // If another vendor's archive is unreachable, the update fails but the installation may succeed.
  apt("update");
  if (apt("install", "--yes", "--no-install-recommends", ...missing)) return;
  const advice = `install them yourself: apt-get install ${missing.join(" ")}`;
  if (required) fail(`apt-get could not install the packages; ${advice}`, 1);
  say(`apt-get could not install the packages: tests that need them are skipped; ${advice}`);
}

/** @param {string[]} packages */
function missingPackages(packages) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = ["--show", "--showformat=${binary:Package} ${db:Status-Status}\n", ...packages];
  const { stdout } = spawnSync("dpkg-query", query, { encoding: "utf8" });
  const installed = (stdout ?? "").matchAll(/^(\S+?)(?::\S+)? installed$/gm);
  const names = new Set([...installed].map((match) => match[1]));
  return packages.filter((each) => !names.has(each));
}

/** @param {string[]} args */
function apt(...args) {
  const sudo = process.getuid?.() === 0 ? [] : ["sudo"];
  const line = [...sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", ...args];
  return run(/** @type {string} */ (line[0]), line.slice(1));
}

/** The npm package `node` brings the Node that runs TypeScript. */
function installModules() {
  if (modulesAreCurrent()) return;
  say("installing npm packages, Node 24 among them");
  if (!run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])) fail("npm ci failed", 1);
}

/** Compares contents, because a checkout gives every file a new time. */
function modulesAreCurrent() {
  const installed = readLock("node_modules/.package-lock.json");
  if (!installed || !existsSync(NODE)) return false;
  const wanted = Object.entries(readLock("package-lock.json") ?? {}).filter(([path]) => path !== "");
  return wanted.every(([path, { version, optional }]) => {
    const found = installed[path];
    return found ? found.version === version : optional === true;
  });
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, optional?: boolean }> | undefined}
 */
function readLock(path) {
  const file = join(ROOT, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).packages : undefined;
}

/** Prints only if the build takes longer than a second or fails. @param {string[]} target @param {string} what */
function make(target, what) {
  const [path = "", ...names] = target;
  const args = ["-C", join(ROOT, path), `-j${availableParallelism()}`, ...names];
  const child = spawn("make", args, { stdio: "pipe" });
  let output = "";
  child.stdout.on("data", (/** @type {Buffer} */ chunk) => (output += chunk));
  child.stderr.on("data", (/** @type {Buffer} */ chunk) => (output += chunk));
  const slow = setTimeout(() => say(`building ${what}`), 1000);
  return new Promise((resolve) => {
    child.once("error", (error) => fail(`make: ${error.message}`, 1));
    child.once("close", (status) => {
      clearTimeout(slow);
      if (status !== 0) fail(`${output}building ${what} failed: make -C ${target.join(" ")}`, 1);
      resolve(undefined);
    });
  });
}

/** Runs the command with this process's stdio, and passes signals and the exit status on. @param {string[]} args */
function handOver(args) {
  // If this process is killed by SIGKILL, the kernel ends the command.
  const line = ["--pdeathsig", "TERM", NODE, join(ROOT, /** @type {string} */ (args[0])), ...args.slice(1)];
  // If the command starts `node`, it gets the project's Node, too.
  const PATH = `${dirname(NODE)}:${searchPath()}`;
  const child = spawn("setpriv", line, { stdio: "inherit", env: { ...process.env, PATH } });
  child.once("error", (error) => fail(`start ${args[0]}: ${error.message}`, 1));
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    // Ctrl-C on a terminal reaches the whole process group, so the command has got the signal already.
    process.on(signal, () => (signal === "SIGINT" && process.stdin.isTTY) || child.kill(signal));
  }
  // A caller that was killed sends no signal, but its command must not outlive it.
  const caller = process.ppid;
  setInterval(() => process.ppid !== caller && child.kill("SIGTERM"), 500).unref();
  child.once("exit", (status, signal) => {
    if (!signal) process.exit(status ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function searchPath() {
  const path = process.env.PATH ?? "";
  return hasGo(path) ? path : `${path}:${GO_DIRECTORY}`;
}

/** @param {string} path */
function hasGo(path) {
  return hasProgram(path, "go");
}

/** @param {string} path @param {string} program */
function hasProgram(path, program) {
  return path.split(":").some((directory) => existsSync(join(directory, program)));
}

/** @param {string} program @param {string[]} args */
function run(program, args) {
  return spawnSync(program, args, { cwd: ROOT, stdio: ["ignore", 2, 2] }).status === 0;
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`trigon: ${line}\n`);
}

/** @param {string} line @param {number} status */
function fail(line, status) {
  say(line);
  process.exit(status);
}
