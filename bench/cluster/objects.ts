/** Policies and pods of the measurements. */
import { WORKLOAD_IMAGE } from "../../e2e/stories/demo.ts";

export const NAMESPACE = "default";

/** Ten calls of umask a second, without a process for each. */
export const LOOP = bash("mkfifo /tmp/wait; exec 3<>/tmp/wait; while :; do umask 022; read -t 0.1 <&3; done");

/** Number of the first call of COUNTING_CALLS: no program of a container runtime has it as its mask. */
export const FIRST_CALL = 0o100;
/** Calls of umask whose masks are numbers in a row: the first one at once, the others over half a minute. */
export const COUNTING_CALLS = bash(
  [
    "umask 100; mkfifo /tmp/wait; exec 3<>/tmp/wait",
    `for ((n = ${FIRST_CALL + 1}; n < 0700; n++)); do printf -v mask %o $n; umask $mask; read -t 0.1 <&3; done`,
  ].join("; "),
);

/** The mask of the call that CALL_AND_END makes; the container runtime, too, sets one in a container before it starts. */
export const LAST_CALL = 0o321;
/** One call, then the end. */
export const CALL_AND_END = ["sh", "-c", `umask ${LAST_CALL.toString(8)}`];

function bash(script: string): string[] {
  return ["bash", "-c", script];
}

/** A policy with one hook. */
export function makePolicy(name: string, selectors: object) {
  const kprobes = [{ call: "sys_umask", syscall: true, args: [{ index: 0, type: "uint32" }] }];
  return { metadata: { name }, spec: { kprobes, ...selectors } };
}

/** What a policy with the pods of one label has. */
export function podsOf(app: string) {
  return { podSelector: { matchLabels: { app } } };
}

/** A pod on one node whose containers run one after the other, and end. */
export function makePod(
  name: string,
  { nodeName, app, command, containers = 1 }: Record<"nodeName" | "app", string> & Run,
) {
  const initContainers = Array.from({ length: containers - 1 }, (_, n) =>
    makeContainer(`init-${n}`, command),
  );
  return {
    metadata: { name, namespace: NAMESPACE, labels: { app } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      restartPolicy: "Never",
      tolerations: [{ operator: "Exists" }],
      initContainers,
      containers: [makeContainer("main", command)],
    },
  };
}

interface Run {
  command: readonly string[];
  containers?: number;
}

function makeContainer(name: string, command: readonly string[]) {
  return { name, command, image: WORKLOAD_IMAGE, imagePullPolicy: "IfNotPresent" };
}
