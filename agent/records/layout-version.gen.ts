// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Changes with every struct, enum and limit that the programs share with the agent. */
export const LAYOUT_VERSION = "4ef3f701cf679da7";

/** Digest of the C sources of the layouts, without comments and white space. */
export const LAYOUT_SOURCES = "5a64c949d7cd2cee";
