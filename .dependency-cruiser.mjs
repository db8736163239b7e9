/**
 * The arrows of the house: which room may import from which. A file may always import from its own room, and from
 * packages. Everything that is not listed is refused, and so is every circle, also one that only types make.
 * `npm run lint` checks it.
 */

const FLOOR_OF_POLICY = ["problems", "suggest", "support", "types"].map((file) => `policy/${file}.ts`);

/** Rooms of production code, by path; each with the paths that it may import from. A longer path is a room of its own. */
const ROOMS = {
  crds: [],
  "policy/values": ["crds", ...FLOOR_OF_POLICY],
  "policy/yaml": FLOOR_OF_POLICY,
  "policy/schema": ["crds", ...FLOOR_OF_POLICY],
  "policy/expressions": ["crds", "policy/values"],
  // What a selector may say depends on the hook's call and arguments, and on the policy's lists and enforcers.
  "policy/selectors": [
    "crds",
    "policy/values",
    "policy/expressions",
    "policy/probes/args.ts",
    "policy/probes/calls.ts",
    "policy/probes/enforcers.ts",
    "policy/probes/lists.ts",
    "policy/scope.ts",
    ...FLOOR_OF_POLICY,
  ],
  "policy/members": ["crds", ...FLOOR_OF_POLICY],
  "policy/warnings": ["crds", "policy/values", ...FLOOR_OF_POLICY],
  "policy/probes": [
    "crds",
    "policy/members",
    "policy/values",
    "policy/selectors",
    "policy/warnings",
    ...FLOOR_OF_POLICY,
  ],
  policy: ["crds"],
  proto: [],
  cli: ["crds", "lib", "policy", "proto", "package.json"],
  lib: [],
  operator: ["crds", "lib", "policy", "package.json"],

  "agent/bpf": ["policy/members/kernel-types.ts"],
  "agent/records": ["crds"],
  "agent/pods": ["crds", "lib", "agent/records"],
  "agent/process": ["crds", "lib", "agent/records", "agent/pods"],
  "agent/stacks": ["agent/process"],
  "agent/hooks/hook-error.ts": ["crds", "agent/bpf"],
  "agent/hooks/kernel": ["crds", "policy", "agent/bpf", "agent/hooks/hook-error.ts"],
  "agent/hooks/config": [
    "crds",
    "policy",
    "agent/records",
    "agent/hooks/hook-error.ts",
    "agent/hooks/kernel",
  ],
  "agent/hooks/targets": [
    "crds",
    "policy",
    "agent/bpf",
    "agent/hooks/hook-error.ts",
    "agent/hooks/kernel",
    "agent/hooks/config",
  ],
  "agent/hooks/processes": [
    "crds",
    "agent/bpf",
    "agent/process",
    "agent/hooks/hook-error.ts",
    "agent/hooks/config",
  ],
  "agent/hooks/scopes": ["crds", "agent/bpf", "agent/hooks/hook-error.ts", "agent/hooks/config"],
  "agent/hooks/drift": ["crds", "lib", "agent/bpf", "agent/hooks/hook-error.ts"],
  "agent/hooks/attach": [
    "crds",
    "lib",
    "agent/bpf",
    "agent/records",
    "agent/hooks/hook-error.ts",
    "agent/hooks/kernel",
    "agent/hooks/config",
    "agent/hooks/targets",
    "agent/hooks/drift",
    "agent/hooks/processes",
    "agent/hooks/scopes",
  ],
  "agent/hooks": ["crds", "lib", "agent/bpf"],
  "agent/metrics": ["crds", "lib", "agent/process", "agent/hooks"],
  "agent/events": [
    "crds",
    "lib",
    "proto",
    "agent/records",
    "agent/process",
    "agent/pods",
    "agent/stacks",
    "agent/metrics",
  ],
  "agent/policies/sources": ["crds", "lib", "policy"],
  "agent/policies": ["crds", "lib", "agent/pods", "agent/hooks", "agent/events", "agent/metrics"],
  "agent/status": ["crds", "lib", "agent/hooks", "agent/policies"],
  "agent/api": [
    "crds",
    "lib",
    "policy",
    "proto",
    "agent/records",
    "agent/process",
    "agent/hooks",
    "agent/metrics",
    "agent/events",
    "agent/policies",
  ],
  agent: ["crds", "lib", "package.json"],
};

const TESTS = "(^|/)(testing/|[^/]*\\.test\\.ts$)";
const DEVELOPMENT = "^(e2e|bench)/";
const PACKAGES = "node_modules/";

/** @param {string} path */
const room = (path) => (path.includes(".") ? `^${path.replaceAll(".", "\\.")}$` : `^${path}/`);
/** @param {string} path */
const within = (path) => Object.keys(ROOMS).filter((other) => other.startsWith(`${path}/`));

/**
 * Refuses what a room's production code imports from elsewhere, save the rooms inside it, which are its own parts.
 *
 * @param {[string, string[]]} arrows
 */
function arrowsOf([path, allowed]) {
  return {
    name: `arrows of ${path}`,
    comment: `${path} may import from ${[...within(path), ...allowed].join(", ") || "itself"} alone`,
    severity: "error",
    from: { path: room(path), pathNot: [TESTS, ...within(path).map(room)] },
    to: { dependencyTypes: ["local"], pathNot: [room(path), ...allowed.map(room)] },
  };
}

export default {
  forbidden: [
    ...Object.entries(ROOMS).map(arrowsOf),
    {
      name: "every room has its arrows",
      comment: "a new directory of the agent is listed above with what it may import from",
      severity: "error",
      from: { path: "^agent/[^/]+/", pathNot: [TESTS, ...within("agent").map(room)] },
      to: { dependencyTypes: ["local"] },
    },
    {
      name: "no circles",
      comment: "files that import each other can only be understood, tested and moved together",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "operator and agent never meet",
      comment:
        "they meet in the API server alone, so that either can restart and be updated by itself; tests too",
      severity: "error",
      from: { path: "^(operator|agent)/" },
      to: { path: "^(operator|agent)/", pathNot: "^$1/" },
    },
    {
      name: "testing is for tests",
      comment: "what tests are built with is not in the image",
      severity: "error",
      from: { pathNot: [TESTS, DEVELOPMENT] },
      to: { path: "/testing/" },
    },
    {
      name: "production code stands alone",
      comment: "what is only there to develop and test is not in the image",
      severity: "error",
      from: { pathNot: [TESTS, DEVELOPMENT] },
      to: { path: DEVELOPMENT },
    },
    {
      name: "packages of production",
      comment: "development dependencies are not in the image",
      severity: "error",
      from: { path: "^(crds|policy|cli|lib|operator|agent)/", pathNot: TESTS },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "everything that is imported exists",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "\\.node$" },
    },
  ],
  options: {
    doNotFollow: { path: PACKAGES },
    exclude: { path: "^build/" },
    parser: "swc",
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
