/** The network policies of manifests/base, by the rules of Kubernetes: who reaches our pods, and whom they reach. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";

/** Default of the agent's --health-server-address: for the kubelet, which network policies do not restrict. */
const HEALTH_PORT = 6789;
const BASE = resolve(import.meta.dirname, "../manifests/base");

type Labels = Record<string, string>;
interface Port {
  protocol?: string;
  port: string | number;
}
interface Rule {
  ports?: Port[];
  from?: { namespaceSelector?: { matchLabels?: Labels } }[];
  to?: unknown[];
}
interface NetworkPolicy {
  kind: string;
  metadata: { name: string };
  spec: { podSelector: { matchLabels: Labels }; policyTypes: string[]; ingress: Rule[]; egress: Rule[] };
}
interface Workload {
  kind: string;
  metadata: { name: string };
  spec: {
    template: {
      metadata: { labels: Labels };
      spec: { hostNetwork?: boolean; containers: { ports?: { name: string; containerPort: number }[] }[] };
    };
  };
}

const objects = readdirSync(BASE)
  .filter((name) => name.endsWith(".yaml"))
  .flatMap((name) =>
    parseAllDocuments(readFileSync(join(BASE, name), "utf8")).flatMap((one) => one.toJS() ?? []),
  );
const policies = objects.filter(({ kind }) => kind === "NetworkPolicy") as NetworkPolicy[];
const workloads = objects.filter(({ kind }) => kind === "Deployment" || kind === "DaemonSet") as Workload[];

const isSelected = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

const policiesOf = ({ spec }: Workload) =>
  policies.filter((policy) => isSelected(policy.spec.podSelector.matchLabels, spec.template.metadata.labels));

const portsOf = ({ spec }: Workload) => spec.template.spec.containers.flatMap(({ ports = [] }) => ports);

/** Whether a pod in a namespace with these labels may open a connection to the port of the workload. */
function mayReach(workload: Workload, namespaceLabels: Labels, port: number): boolean {
  const name = portsOf(workload).find(({ containerPort }) => containerPort === port)?.name;
  return policiesOf(workload).some(({ spec }) =>
    spec.ingress.some(
      ({ ports, from }) =>
        (ports === undefined || ports.some((one) => one.port === name || one.port === port)) &&
        (from === undefined ||
          from.some(({ namespaceSelector }) =>
            isSelected(namespaceSelector?.matchLabels ?? {}, namespaceLabels),
          )),
    ),
  );
}

function mayConnectTo(workload: Workload, port: number): boolean {
  return policiesOf(workload).some(({ spec }) =>
    spec.egress.some(({ ports }) => ports?.some((one) => one.port === port) ?? true),
  );
}

test("there are two workloads, and each network policy is about one of them", () => {
  expect(workloads.map(({ metadata }) => metadata.name).sort()).toEqual(["trigon-agent", "trigon-operator"]);
  for (const policy of policies) {
    const selected = workloads.filter((workload) => policiesOf(workload).includes(policy));
    expect(selected.map(({ metadata }) => metadata.name)).toEqual([policy.metadata.name]);
  }
});

describe.each(workloads.map((workload) => [workload.metadata.name, workload] as const))(
  "%s",
  (_name, workload) => {
    const numberOf = (name: string) =>
      portsOf(workload).find((port) => port.name === name)?.containerPort ?? 0;

    test("is restricted in both directions; the host's network would escape that", () => {
      const types = policiesOf(workload).flatMap(({ spec }) => spec.policyTypes);
      expect(types.sort()).toEqual(["Egress", "Ingress"]);
      expect(workload.spec.template.spec.hostNetwork ?? false).toBe(false);
    });

    test("has every port that its policies name", () => {
      const known = portsOf(workload).map(({ name }) => name);
      const named = policiesOf(workload).flatMap(({ spec }) =>
        spec.ingress.flatMap(({ ports = [] }) => ports),
      );
      expect(known).toEqual(expect.arrayContaining(named.map(({ port }) => port)));
    });

    test("shows its metrics to namespaces with the label, and to no other", () => {
      const metrics = numberOf("metrics");
      expect(mayReach(workload, { "trigon.dev/metrics-reader": "true" }, metrics)).toBe(true);
      expect(mayReach(workload, { "trigon.dev/metrics-reader": "false" }, metrics)).toBe(false);
      expect(mayReach(workload, {}, metrics)).toBe(false);
    });

    test("answers on no other port but the webhook's, which API servers ask", () => {
      const open = portsOf(workload).filter(({ containerPort }) => mayReach(workload, {}, containerPort));
      expect(open.map(({ name }) => name)).toEqual(
        workload.metadata.name === "trigon-operator" ? ["webhook"] : [],
      );
      for (const port of [22, HEALTH_PORT])
        expect(mayReach(workload, { "trigon.dev/metrics-reader": "true" }, port)).toBe(false);
    });

    test.each([
      [443, true],
      [6443, true],
      [53, false],
      [80, false],
      [10250, false],
      [2379, false],
    ])("connects to port %i: %s", (port, expected) => {
      expect(mayConnectTo(workload, port)).toBe(expected);
    });
  },
);
