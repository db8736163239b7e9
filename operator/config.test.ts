import { describe, expect, test } from "vitest";
import { parseCommand } from "./config.ts";

const POD = {
  KUBERNETES_SERVICE_HOST: "10.0.0.1",
  KUBERNETES_SERVICE_PORT: "443",
  POD_NAMESPACE: "security",
};

describe("parseCommand", () => {
  test("takes everything from the Pod by default", () => {
    expect(parseCommand([], POD, "trigon-operator-x")).toEqual({
      kind: "run",
      config: {
        namespace: "security",
        metricsServer: { port: 2113 },
        webhookNames: { service: "trigon-operator", configuration: "trigon-policies" },
        logLevel: "info",
        logFormat: "text",
        inCluster: { host: "10.0.0.1", port: "443" },
        instance: "trigon-operator-x",
        patience: { restartMs: 30_000, startMs: 300_000 },
        tolerance: { kind: "percent", percent: 5 },
      },
    });
  });

  test("lets flags win over the environment", () => {
    const argv = [
      "--namespace",
      "n",
      "--kubeconfig",
      "/k",
      "--metrics-server",
      "[::1]:9",
      "--log-level",
      "debug",
    ];
    expect(parseCommand(argv, { ...POD, KUBECONFIG: "/other" }, "h")).toMatchObject({
      config: {
        namespace: "n",
        kubeconfig: "/k",
        metricsServer: { host: "::1", port: 9 },
        logLevel: "debug",
      },
    });
  });

  test.each([
    ["trigon-operator", "trigon-operator", "trigon-policies"],
    ["prod-trigon-operator", "prod-trigon-operator", "prod-trigon-policies"],
    ["trigon-operator-eu", "trigon-operator-eu", "trigon-policies-eu"],
    ["a-trigon-operator-b", "a-trigon-operator-b", "a-trigon-policies-b"],
    ["somebody-else", "trigon-operator", "trigon-policies"],
  ])("finds the webhook of an installation whose account is %s", (account, service, configuration) => {
    const env = { ...POD, POD_SERVICE_ACCOUNT: account };
    expect(parseCommand([], env, "h")).toMatchObject({
      config: { webhookNames: { service, configuration } },
    });
  });

  const errors: Record<string, { argv: string[]; env?: Record<string, string>; message: RegExp }> = {
    "names an unknown flag": { argv: ["--nmespace", "x"], message: /--nmespace/ },
    "names a wrong level": {
      argv: ["--log-level", "loud"],
      message: /--log-level: "loud" is not one of error/,
    },
    "says what is tolerated": {
      argv: ["--tolerate-absent", "half"],
      message: /--tolerate-absent: "half".*3 or 5%/,
    },
    "says how a time looks": { argv: ["--restart-grace", "30s"], message: /no whole number of seconds/ },
    "says how an address looks": { argv: ["--metrics-server", "2113"], message: /HOST:PORT or :PORT/ },
    "says that there is no way to the API server": { argv: [], env: {}, message: /no kubeconfig is given/ },
  };
  test.each(Object.entries(errors))("%s", (_name, { argv, env = POD, message }) => {
    const command = parseCommand(argv, env, "h");
    expect(command.kind === "error" && command.message).toMatch(message);
  });
});
