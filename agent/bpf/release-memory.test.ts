import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** In a process of its own: what other tests have released is not resident any more. */
const script = (release: string) => `
  import { readFileSync } from "node:fs";
  import { loadBinding } from "./agent/bpf/binding.ts";

  /** Resident kilobytes of Node's own file. */
  function residentOfNode() {
    const mappings = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
    const own = mappings.filter((mapping) => mapping.split("\\n")[0].endsWith(process.execPath));
    return own.reduce((sum, mapping) => sum + Number(/^Rss:\\s+(\\d+)/m.exec(mapping)[1]), 0);
  }

  const bpf = loadBinding();
  const before = residentOfNode();
  await bpf.${release}();
  const after = residentOfNode();
  const number = new Intl.NumberFormat("de").format(12_345.6);
  console.log(JSON.stringify({ before, after, number }));
`;

test.each(["releaseMemory", "trimMemoryAsync"])(
  "%s gives back pages, and they come again",
  async (release) => {
    const args = ["--no-warnings", "--input-type=module", "--eval", script(release)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { before, after, number } = JSON.parse(stdout);
    expect(after).toBeLessThan(before / 2);
    expect(number).toBe("12.345,6");
  },
);
