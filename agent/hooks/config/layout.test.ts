import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BpfObject, loadBinding } from "../../bpf/binding.ts";
import { STRUCTS as RECORD_STRUCTS } from "../../records/layout.gen.ts";
import { STRUCTS as CONFIG_STRUCTS } from "./layout.gen.ts";

const root = new URL("../../../", import.meta.url).pathname;
const objectPath = `${root}build/bpf/trigon.bpf.o`;
const built = existsSync(objectPath) && existsSync(`${root}build/bpf.node`);

describe.skipIf(!built)(
  "generated layouts against the BTF of the linked object (skipped without `npm run build`)",
  () => {
    let object: BpfObject;
    beforeAll(() => {
      object = loadBinding().openObject(objectPath);
    });
    afterAll(() => object.close());

    test.each(Object.entries({ ...RECORD_STRUCTS, ...CONFIG_STRUCTS }))(
      "struct %s has the object's size and offsets",
      (name, { size, members }) => {
        const found = object.structLayout(name);
        const offsets = Object.fromEntries(
          Object.entries(found.members).map(([member, { offset }]) => [member, offset]),
        );
        expect({ size, members }).toEqual({ size: found.size, members: offsets });
      },
    );
  },
);
