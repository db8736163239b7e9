/** The closed vocabularies of policies, in the order in which messages list them. */

/** Operators on arguments. */
export const ARGUMENT_OPERATORS = [
  "Equal",
  "NotEqual",
  "Prefix",
  "NotPrefix",
  "Postfix",
  "NotPostfix",
  "GreaterThan",
  "LessThan",
  "GT",
  "LT",
  "Mask",
  "SPort",
  "NotSPort",
  "SPortPriv",
  "NotSportPriv",
  "DPort",
  "NotDPort",
  "DPortPriv",
  "NotDPortPriv",
  "SAddr",
  "NotSAddr",
  "DAddr",
  "NotDAddr",
  "Protocol",
  "Family",
  "State",
  "InMap",
  "NotInMap",
  "CapabilitiesGained",
  "InRange",
  "NotInRange",
  "SubString",
  "SubStringIgnCase",
  "CelExpr",
  "FileType",
  "NotFileType",
] as const;

/** Membership. */
export const SET_OPERATORS = ["In", "NotIn"] as const;

/** Comparison of paths. */
export const PATH_OPERATORS = ["In", "NotIn", "Prefix", "NotPrefix", "Postfix", "NotPostfix"] as const;

/** What a matching selector can do. */
export const ACTIONS = [
  "Post",
  "Sigkill",
  "Override",
  "GetUrl",
  "DnsLookup",
  "NoPost",
  "Signal",
  "TrackSock",
  "UntrackSock",
  "NotifyEnforcer",
  "CleanupEnforcerNotification",
  "Set",
] as const;

/** Kinds of lists. */
export const LIST_TYPES = ["syscalls", "generated_syscalls", "generated_ftrace"] as const;

/** Fields of the caller's credentials that selectors can look at; ours. */
export const CURRENT_CRED_FIELDS = [
  "uid",
  "euid",
  "suid",
  "fsuid",
  "gid",
  "egid",
  "sgid",
  "fsgid",
  "auid",
  "securebits",
  "noNewPrivs",
  "userNamespaceLevel",
] as const;

/** Comparisons of those fields; ours. */
export const CRED_OPERATORS = ["Equal", "NotEqual", "InRange", "NotInRange"] as const;

/** Fields of matchCredChanges. */
export const CRED_CHANGE_FIELDS = [
  "uid",
  "gid",
  "suid",
  "sgid",
  "euid",
  "egid",
  "fsuid",
  "fsgid",
  "capPermitted",
  "capEffective",
  "capInheritable",
  "capBounding",
  "capAmbient",
  "securebits",
  "userNamespace",
  "groups",
  "noNewPrivs",
] as const;

/** How credentials can change; ours. */
export const CRED_CHANGES = ["Changed", "Raised", "Dropped"] as const;

/** Fields of credentials that can change, and the word for all of them; ours. */
export const CRED_CHANGE_WORDS = ["any", ...CRED_CHANGE_FIELDS] as const;
