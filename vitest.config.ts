import { defineConfig } from "vitest/config";

/** Unit tests only: what needs a kernel or an API server lives in e2e/ and is run by e2e/test.ts. */
export default defineConfig({
  test: {
    include: ["{bpf,crds,policy,lib,operator,agent,proto,cli,e2e,bench}/**/*.test.ts"],
    environment: "node",
    // Node strips types in WebAssembly, and V8 ends the process ("Check failed: jit_page") when a second thread does so too
    // and its calls of JavaScript are compiled anew after so many. The image has JavaScript: it strips nothing.
    execArgv: ["--wasm-wrapper-tiering-budget=2000000000"],
    // Guests may run beside them: no test is about how fast it is.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
