/** Shell commands, each of which changes credentials in its own way. */
export const CHANGES = {
  su: "su -s /bin/sh nobody -c true",
  setuid: "setpriv --reuid=1000 --regid=1000 --clear-groups passwd -S >/dev/null 2>&1 || true",
  unshare: "unshare -U true || true",
} as const;

/** Of crds/examples/valid: what the tour applies. */
export const OWN_POLICIES = [
  "process.credentials.changes.at.syscalls.yaml",
  "process-creds-installed.yaml",
] as const;
