/** Values of the map cgroup_scopes: for each cgroup of a pod, the scopes that it is in. */
import { type BpfMap, isBpfError } from "../../bpf/binding.ts";
import { CGROUP_SCOPES } from "../config/layout.ts";

/** Bits of scopes. What is in neither is outside. */
export interface ScopeSet {
  inside: bigint;
  /** Not known yet: hits are reported, and nothing is enforced. */
  undecided: bigint;
}

/** Where the scopes of a cgroup are written, by the inode number of its directory. */
export class CgroupScopes {
  readonly #map: BpfMap;
  readonly #full: BpfMap;

  constructor(map: BpfMap, full: BpfMap) {
    this.#map = map;
    this.#full = full;
  }

  /** Whether a cgroup found no room, so that processes of cgroups without scopes may be a pod's: reported, not enforced. */
  setFull(isFull: boolean): void {
    this.#full.update(new Uint8Array(4), new Uint8Array(Uint32Array.of(isFull ? 1 : 0).buffer));
  }

  /** Takes effect with the next hit. False where there is no room for one more cgroup. */
  set(cgroupId: bigint, scopes: ScopeSet): boolean {
    try {
      this.#map.update(uint64(cgroupId), encodeScopes(scopes));
      return true;
    } catch (error) {
      if (isBpfError(error) && error.code === "E2BIG") return false;
      throw error;
    }
  }

  /** From now on its processes are the host's. */
  delete(cgroupId: bigint): void {
    this.#map.delete(uint64(cgroupId));
  }
}

/** struct cgroup_scopes. */
function encodeScopes({ inside, undecided }: ScopeSet): Uint8Array {
  const value = new Uint8Array(CGROUP_SCOPES.size);
  const { members } = CGROUP_SCOPES;
  const words = (members.undecided - members.inside) / 8;
  const view = new DataView(value.buffer);
  for (let word = 0; word < words; word++) {
    const shift = BigInt(word * 64);
    view.setBigUint64(members.inside + word * 8, BigInt.asUintN(64, inside >> shift), true);
    view.setBigUint64(members.undecided + word * 8, BigInt.asUintN(64, undecided >> shift), true);
  }
  return value;
}

function uint64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}
