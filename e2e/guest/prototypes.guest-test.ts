/**
 * The prototypes that policies are checked with before any node sees them are those of this kernel.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/prototypes.guest-test.ts
 */
import assert from "node:assert/strict";
import { release } from "node:os";
import { after, before, test } from "node:test";
import { type KernelBtf, loadBinding } from "../../agent/bpf/binding.ts";
import type { Prototype } from "../../policy/probes/prototype.ts";
import { FUNCTION_PROTOTYPES, LSM_PROTOTYPES, RECORDED_KERNELS } from "../../policy/probes/prototypes.gen.ts";

const series = /^\d+\.\d+/.exec(release())?.[0] ?? "";
const bit = 1 << (RECORDED_KERNELS as readonly string[]).indexOf(series);
const skip = bit < 1 && `the table has no kernel ${series}: npm run generate -- prototypes`;

let btf: KernelBtf;
before(() => {
  btf = loadBinding().loadKernelBtf();
});
after(() => btf.close());

/** Parameters that an argument type could be compared with; functions as parameters are spelt in other ways. */
const comparable = (parameters: readonly string[]) => parameters.filter((text) => !text.includes("("));

function recorded(rows: readonly Prototype[]): string[] | undefined {
  const row = rows.find(([kernels]) => kernels & bit);
  return row && comparable(row[2].map((text) => (/^void \*/.test(text) ? "(" : text)));
}

function found(name: string): string[] | undefined {
  const proto = btf.funcProto(name);
  return (
    proto &&
    comparable(
      proto.params.map(({ type, name: parameter }) => {
        if (/^void \*/.test(type)) return "(";
        return type.endsWith("*") || parameter === "" ? `${type}${parameter}` : `${type} ${parameter}`;
      }),
    )
  );
}

for (const [what, table, prefix] of [
  ["functions", FUNCTION_PROTOTYPES, ""],
  ["LSM hooks", LSM_PROTOTYPES, "bpf_lsm_"],
] as const) {
  test(`of ${what}`, { skip }, () => {
    const differing = Object.entries(table).flatMap(([name, rows]) => {
      const [table, kernel] = [recorded(rows), found(`${prefix}${name}`)].map((each) => each?.join(", "));
      return table === kernel ? [] : [`${name}: recorded (${table}), the kernel has (${kernel})`];
    });
    assert.deepEqual(differing, []);
  });
}
