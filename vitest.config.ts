import { defineConfig } from "vitest/config";

/** Unit tests only: what needs a kernel or an API server lives in e2e/ and is run by e2e/test.ts. */
export default defineConfig({
  test: {
    include: ["{bpf,crds,policy,lib,operator,agent,proto,cli,e2e,bench}/**/*.test.ts"],
    environment: "node",
    // Guests may run beside them: no test is about how fast it is.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
