/** Program of the thread that compiles large policies: takes their JSON, posts what they compile to. */
import { parentPort } from "node:worker_threads";
import { compileAndEncode } from "./compiled.ts";

parentPort?.on("message", (json: string) => {
  const compiled = compileAndEncode(JSON.parse(json));
  parentPort?.postMessage(compiled);
});
