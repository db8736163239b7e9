/** The engine under measurement: records from its ring are discarded. */
import { type Binding, loadBinding } from "../../agent/bpf/binding.ts";
import { type EngineOptions, HookEngine } from "../../agent/hooks/engine.ts";
import { createLogger } from "../../lib/logger.ts";

/** Starts the engine; the BPF object must have been built. */
export function startEngine(
  bpf: Binding = loadBinding(),
  options: Pick<EngineOptions, "credentialDrift"> = {},
): HookEngine {
  return HookEngine.start({
    ...options,
    objectPath: "build/bpf/trigon.bpf.o",
    bpf,
    procfs: "/proc",
    logger: createLogger({ component: "bench", level: "warn" }),
    onBatch: () => {},
  });
}
