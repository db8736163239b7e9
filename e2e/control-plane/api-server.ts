/** Runs a command against a fresh API server with Trigon's CRDs; both end with the command. */
import { spawn } from "node:child_process";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { applyCrds } from "./crds.ts";

const USAGE = `node e2e/control-plane/api-server.ts -- COMMAND [ARGUMENT…]

Runs COMMAND with KUBECONFIG set and kubectl on PATH against a fresh API server (etcd and kube-apiserver on the loopback
address, no nodes) that has the CRDs of crds/. Exit status: that of COMMAND; 125 if the API server does not start.
`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const command = args[0] === "--" ? args.slice(1) : args;
  if (command.length === 0 || command[0] === "--help") {
    process.stderr.write(USAGE);
    return command.length === 0 ? 2 : 0;
  }
  const plane = await startControlPlane().catch(tell);
  if (!plane) return 125;
  try {
    await applyCrds(plane);
    return await run(plane, command);
  } catch (error) {
    tell(error as Error);
    return 125;
  } finally {
    await plane.stop();
  }
}

function tell(error: Error): undefined {
  process.stderr.write(`api-server: ${error.message}\n`);
}

/** Ctrl-C reaches the command through the terminal. The command decides when to end; the API server ends after it. */
function run(plane: ControlPlane, [program = "", ...args]: string[]): Promise<number> {
  const env = {
    ...process.env,
    KUBECONFIG: plane.kubeconfigPath,
    PATH: `${plane.binDirectory}:${process.env.PATH}`,
  };
  const child = spawn(program, args, { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
  });
}
