/** Which hooks look at credentials, so that comparing them costs little more. Pure. */
import { type ArgumentFamily, traitsOf } from "../../../crds/argument-types.ts";
import { credHookOf } from "../../../crds/cred-hooks.ts";
import type { ArgDef, FilterDef, HookDef } from "../../../crds/hook-spec.ts";

const MATCHES: ReadonlySet<FilterDef["match"]> = new Set<FilterDef["match"]>([
  "currentCred",
  "credChange",
  "capability",
  "capabilityChange",
]);

/** Whether the hook reports or compares credentials, or gets new ones. */
export function readsCredentials(def: HookDef): boolean {
  if (credHookOf(def) || def.args.some(isCredential)) return true;
  return def.selectors.some(({ filters }) => filters.some(({ match }) => MATCHES.has(match)));
}

const FAMILIES: ReadonlySet<ArgumentFamily> = new Set<ArgumentFamily>([
  "credentials",
  "capabilitySet",
  "userNamespace",
]);

function isCredential({ type }: ArgDef): boolean {
  return FAMILIES.has(traitsOf(type).family);
}
