/** A pod per node whose processes change their credentials in common ways. */
import { CHANGES } from "./changes.ts";
import { kubectl, until, waitFor } from "./kubectl.ts";

/** Image with a shell, util-linux (setpriv, su, unshare) and setuid binaries. */
export const WORKLOAD_IMAGE = process.env.TRIGON_WORKLOAD_IMAGE ?? "trigon.dev/workload:dev";

/** Starts `demo-NODE` on a node and waits until it runs. */
export async function startDemoPod(node: string): Promise<string> {
  const name = `demo-${node}`;
  await kubectl(["apply", "-f", "-"], JSON.stringify(podManifest(name, node)));
  await until(`pod ${name} Running`, () => waitFor("jsonpath={.status.phase}=Running", `pod/${name}`));
  return name;
}

/** Runs one of the changes in a demo pod. */
export function change(pod: string, what: keyof typeof CHANGES): Promise<string> {
  return kubectl(["exec", pod, "--", "sh", "-c", CHANGES[what]]);
}

function podManifest(name: string, nodeName: string): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: "demo" } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: "Exists" }],
      containers: [
        {
          name: "shell",
          image: WORKLOAD_IMAGE,
          imagePullPolicy: "IfNotPresent",
          command: ["sleep", "infinity"],
        },
      ],
    },
  };
}
