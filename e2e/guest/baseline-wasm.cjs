// Loaded first by every Node in a guest. Node strips types in WebAssembly, and V8 replaces WebAssembly's code while
// another processor runs it: under QEMU's TCG one start in thirty then runs into code that is gone (SIGSEGV). The
// baseline compiler alone replaces nothing, and starts twice as fast there.
const { setFlagsFromString } = require("node:v8");

for (const flag of [
  "--liftoff-only",
  "--no-wasm-tier-up",
  "--no-wasm-dynamic-tiering",
  "--wasm-wrapper-tiering-budget=2000000000",
])
  setFlagsFromString(flag);
