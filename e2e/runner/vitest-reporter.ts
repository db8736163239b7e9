/** Reporter for `vitest run --reporter=…/vitest-reporter.ts`. */
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";
import { encodeReport, type TestReport } from "./protocol.ts";

type SerializedError = ReturnType<TestModule["errors"]>[number];

/** Prints a report line per test, and one per file or suite that failed outside of its tests. */
export default class VitestReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    const ms = Math.round(test.diagnostic()?.duration ?? 0);
    const base = { file: test.module.relativeModuleId, name: test.fullName, ms };
    if (result.state === "skipped") {
      print({ ...base, state: "skipped", ...(result.note ? { detail: result.note } : {}) });
    } else if (result.state === "failed") {
      print({ ...base, state: "failed", detail: describe(result.errors) });
    } else if (result.state === "passed") {
      print({ ...base, state: "passed" });
    }
  }

  onTestSuiteResult(suite: TestSuite): void {
    this.#reportErrors(suite.module.relativeModuleId, suite.fullName, suite.errors());
  }

  onTestModuleEnd(module: TestModule): void {
    this.#reportErrors(module.relativeModuleId, "loads", module.errors());
  }

  onTestRunEnd(_modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    this.#reportErrors("vitest", "no error outside of tests", errors);
  }

  #reportErrors(file: string, name: string, errors: readonly SerializedError[]): void {
    if (errors.length > 0) print({ file, name, state: "failed", ms: 0, detail: describe(errors) });
  }
}

function print(report: TestReport): void {
  process.stdout.write(encodeReport(report));
}

function describe(errors: readonly SerializedError[]): string {
  return errors
    .map((error) => [error.stack ?? error.message, error.diff].filter(Boolean).join("\n"))
    .join("\n");
}
