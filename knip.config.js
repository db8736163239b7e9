/**
 * Exports that nobody imports, and files and packages that nothing uses. `knip` counts every user; `knip --production`
 * only the code that ships (the patterns with "!"), so that a file or package that only tests use is found.
 */
const isProduction = process.argv.includes("--production");

export default {
  entry: [
    "agent/main.ts!",
    // agent/main.ts does not start the API yet.
    "agent/api/{address,start}.ts!",
    "agent/policies/overrides.ts!",
    "operator/main.ts!",
    "operator/compiler/compiler-thread.ts!",
    "cli/main.ts!",
    // Generators: what they are made of is not test code. The version is read as text.
    "{crds,proto}/generate.ts!",
    "bpf/layouts.ts!",
    "agent/records/layout-version.gen.ts!",
    // Commands, programs that tests start, and tests of runners that knip does not know.
    "e2e/*.{ts,mjs}",
    "e2e/control-plane/{api-server,cli,daemon,inner}.ts",
    "e2e/guest/{cli,first-events}.ts",
    "e2e/image/{assemble,build}.ts",
    "e2e/runner/{node,vitest}-reporter.ts",
    "e2e/**/*.{guest-test,one-guest-test,host-test,image-test,api-test,client-test,story}.ts",
    "bench/*.ts",
    "bench/cluster/*.ts",
    "bench/guest/*.{ts,mjs}",
  ],
  project: ["**/*.{ts,mjs}!", "!**/testing/**!", "!{e2e,bench}/**!", "!knip.config.js"],
  exclude: ["binaries"],
  ignoreDependencies: [
    // Read by agent/native/Makefile.
    "node-addon-api",
    "node-api-headers",
    // Started as programs by the generators.
    "@bufbuild/buf",
    "kubernetes-fluent-client",
    // The parser of dependency-cruiser.
    "@swc/core",
    // The program that runs everything in production.
    ...(isProduction ? ["node"] : []),
  ],
  // A parser that ships inside a function and is tested by itself may be exported for its test. A type that only its own
  // file names is still part of what that file promises.
  ignoreExportsUsedInFile: isProduction || { interface: true, type: true },
};
