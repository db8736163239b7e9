/** `npm run e2e`: runs the user stories against a cluster that exists, and installs Trigon there if it is missing. */
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { delimiter, dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULT_NAMESPACE } from "../crds/names.ts";
import { findBinaries } from "./control-plane/binaries.ts";
import { runProgram } from "./guest/program.ts";
import { step } from "./progress.ts";
import { findTests, nodeTestArguments } from "./runner/run-tests.ts";
import { parseImage, writeOverlay } from "./user-overlay.ts";

const USAGE = `npm run e2e -- [OPTIONS]

Runs the user stories of e2e/stories against a cluster whose nodes can get the image. Installs Trigon first if it is not
there, and then removes it again, with its CRDs. A Trigon that was there stays as it is. The stories make namespaces of
their own and static pods on each node, by files in /etc/kubernetes/manifests; they remove both at their end. They kill
the agent of each node once, from a pod that sees the node's processes.

  --kubeconfig FILE       the cluster (KUBECONFIG)
  --image IMAGE           what to install (trigon.dev/trigon:dev)
  --workload-image IMAGE  an image with sh, su, setpriv and unshare, for pods that change credentials
                          (docker.io/library/debian:bookworm)
  --keep                  leave the Trigon that was installed
  --help

Exit status: 0 if every story holds, 1 if not, 2 for wrong usage.
`;

const COMPONENTS = ["deployment/trigon-operator", "daemonset/trigon-agent"];
const READY_MINUTES = 10;
const progress = (line: string) => process.stderr.write(`${line}\n`);

interface Options {
  kubeconfig: string;
  image: string;
  workloadImage: string;
  keep: boolean;
  /** Prints the reports that `npm test` reads. */
  report: boolean;
}

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === "string") {
    process.stderr.write(options ? `e2e: ${options}\n\n${USAGE}` : USAGE);
    return options ? 2 : 0;
  }
  try {
    return await runStories(options);
  } catch (error) {
    process.stderr.write(`e2e: ${(error as Error).message}\n`);
    return 1;
  }
}

function parseOptions(args: string[]): Options | string {
  try {
    const { values } = parseArgs({
      args,
      options: {
        kubeconfig: { type: "string", default: process.env.KUBECONFIG ?? "" },
        image: { type: "string", default: "trigon.dev/trigon:dev" },
        "workload-image": { type: "string", default: "docker.io/library/debian:bookworm" },
        keep: { type: "boolean", default: false },
        report: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) return "";
    if (values.kubeconfig === "") return "--kubeconfig is missing, and KUBECONFIG is not set";
    parseImage(values.image);
    const { "workload-image": workloadImage, ...rest } = values;
    return { ...rest, kubeconfig: resolve(values.kubeconfig), workloadImage };
  } catch (error) {
    return (error as Error).message;
  }
}

async function runStories(options: Options): Promise<number> {
  const { kubectl } = await findBinaries(["kubectl"], process.env, progress);
  const environment = {
    ...process.env,
    KUBECONFIG: options.kubeconfig,
    PATH: `${dirname(kubectl)}${delimiter}${process.env.PATH}`,
    TRIGON_WORKLOAD_IMAGE: options.workloadImage,
  };
  const run = (...args: string[]) => runProgram(kubectl, ["--kubeconfig", options.kubeconfig, ...args]);
  const overlay = (await isInstalled(run)) ? undefined : await install(run, options);
  try {
    await step(progress, "operator and agents ready", () => waitForRollout(run));
    return await runTests(options, environment);
  } finally {
    if (overlay !== undefined) {
      if (!options.keep) await step(progress, "remove Trigon", () => run("delete", "-k", overlay));
      await rm(overlay, { recursive: true });
    }
  }
}

type Kubectl = (...args: string[]) => Promise<string>;

async function isInstalled(run: Kubectl): Promise<boolean> {
  const found = await run("get", ...COMPONENTS, "-n", DEFAULT_NAMESPACE, "--ignore-not-found", "-o", "name");
  return found.trim() !== "";
}

/** Returns the directory of the overlay that was applied. */
async function install(run: Kubectl, { image }: Options): Promise<string> {
  const { serverVersion } = JSON.parse(await run("version", "-o", "json")) as {
    serverVersion: { major: string; minor: string };
  };
  const needsAllPods = Number.parseInt(serverVersion.minor, 10) < 36;
  const overlay = await writeOverlay({ image, needsAllPods });
  await step(progress, `install Trigon with the image ${image}`, async () => {
    const attempt = () => run("apply", "--server-side", "-k", overlay);
    await attempt().catch(attempt); // the API server may not serve a CRD yet that was created a moment ago
  });
  return overlay;
}

async function waitForRollout(run: Kubectl): Promise<void> {
  for (const component of COMPONENTS) {
    await run("rollout", "status", component, "-n", DEFAULT_NAMESPACE, `--timeout=${READY_MINUTES}m`).catch(
      async (cause: unknown) => {
        const pods = await run("get", "pods", "-n", DEFAULT_NAMESPACE, "-o", "wide");
        throw new Error(`${component} is not ready within ${READY_MINUTES} minutes:\n${pods}`, { cause });
      },
    );
  }
}

function runTests({ report }: Options, env: NodeJS.ProcessEnv): Promise<number> {
  const files = findTests("e2e/stories/*.story.ts");
  const args = report ? nodeTestArguments(files) : ["--test", "--test-concurrency=1", ...files];
  const child = spawn(process.execPath, args, { cwd: dirname(import.meta.dirname), env, stdio: "inherit" });
  // Ended early, it still removes what it installed.
  const stop = () => child.kill("SIGTERM");
  process.once("SIGINT", stop).once("SIGTERM", stop);
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (status) => done(status === 0 ? 0 : 1));
  });
}
