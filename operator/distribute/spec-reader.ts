/** Reads the specs of ConfigMaps; what was compiled or read once is recognized by its hash. */
import { hashHookSpecText } from "../../crds/hook-spec-codec.ts";
import { hookSpecConfigMapName } from "../../crds/names.ts";
import { decodeSpec, type SpecData, unpackSpec } from "../../crds/spec-config-map.ts";
import { type EncodedSpec, summarize } from "../compiler/compiled.ts";

/** A spec, or why the ConfigMap has none. */
export type ReadSpec = { ok: true; spec: EncodedSpec } | { ok: false; problem: string };

/** Specs that are known at the same time; beyond it, the table starts anew. */
const MAX_KNOWN = 2_000;

/** Checking the schema of a large spec takes half a second, its hash some milliseconds; each ConfigMap is read often. */
export class SpecReader {
  /** Facts of specs by hash, without their data. */
  #known = new Map<string, Omit<EncodedSpec, "data">>();

  /** Takes in a spec that agents can read. */
  add(hash: string, { data: _, ...facts }: EncodedSpec): void {
    if (this.#known.size >= MAX_KNOWN) this.#known = new Map();
    this.#known.set(hash, facts);
  }

  /** Reads the spec of the ConfigMap with this name; never throws, whatever the data is. */
  read(name: string, data: SpecData): ReadSpec {
    const unpacked = unpackSpec(data);
    const hash = "text" in unpacked ? hashHookSpecText(unpacked.text) : "";
    const facts = this.#known.get(hash);
    if (facts !== undefined && hookSpecConfigMapName(hash) === name)
      return { ok: true, spec: { ...facts, data } };
    const decoded = decodeSpec(name, data);
    if (!decoded.ok) return decoded;
    const spec = summarize(decoded.spec, data);
    this.add(name.slice(hookSpecConfigMapName("").length), spec);
    return { ok: true, spec };
  }
}
