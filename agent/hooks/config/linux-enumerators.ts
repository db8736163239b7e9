/** Maps names in policies to enumerators of the BPF programs. */
import type { CredChangeField } from "../../../crds/hook-spec.ts";
import {
  CURRENT_CAPABILITY_SETS,
  type CurrentCapabilitySet,
  NAMESPACE_FILES,
  NAMESPACES,
  type NamespaceName,
} from "../../../crds/linux.ts";
import { ENUMS } from "../../records/layout.gen.ts";
import { ENUMERATORS } from "./layout.ts";

/** enum namespace_kind */
export function namespaceKind(name: NamespaceName): number {
  const suffix = NAMESPACE_FILES[name].toUpperCase() as Uppercase<(typeof NAMESPACE_FILES)[NamespaceName]>;
  return ENUMERATORS[`NAMESPACE_${suffix}`];
}

/** enum capability_set */
export function capabilitySet(name: CurrentCapabilitySet): number {
  return ENUMERATORS[`CAPABILITIES_${name.toUpperCase() as Uppercase<CurrentCapabilitySet>}`];
}

/** The namespaces in the order of enum namespace_kind. */
export const NAMESPACES_IN_ORDER = NAMESPACES.toSorted((a, b) => namespaceKind(a) - namespaceKind(b));

/** The sets in the order of enum capability_set. */
export const CAPABILITY_SETS_IN_ORDER = CURRENT_CAPABILITY_SETS.toSorted(
  (a, b) => capabilitySet(a) - capabilitySet(b),
);

const CRED = ENUMS.cred_field;

/** enum cred_field */
export const CRED_FIELD_NUMBERS: Readonly<Record<CredChangeField, number>> = {
  uid: CRED.CRED_FIELD_UID,
  gid: CRED.CRED_FIELD_GID,
  suid: CRED.CRED_FIELD_SUID,
  sgid: CRED.CRED_FIELD_SGID,
  euid: CRED.CRED_FIELD_EUID,
  egid: CRED.CRED_FIELD_EGID,
  fsuid: CRED.CRED_FIELD_FSUID,
  fsgid: CRED.CRED_FIELD_FSGID,
  capPermitted: CRED.CRED_FIELD_CAP_PERMITTED,
  capEffective: CRED.CRED_FIELD_CAP_EFFECTIVE,
  capInheritable: CRED.CRED_FIELD_CAP_INHERITABLE,
  capBounding: CRED.CRED_FIELD_CAP_BOUNDING,
  capAmbient: CRED.CRED_FIELD_CAP_AMBIENT,
  securebits: CRED.CRED_FIELD_SECUREBITS,
  userNamespace: CRED.CRED_FIELD_USER_NS,
  groups: CRED.CRED_FIELD_GROUPS,
  noNewPrivs: CRED.CRED_FIELD_NO_NEW_PRIVS,
};
