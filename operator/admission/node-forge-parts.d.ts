/** Parts of node-forge that are loaded alone: the whole takes thirty times as long. */
declare module "node-forge/lib/asn1.js" {
  import type { asn1 } from "node-forge";

  const part: typeof asn1;
  export default part;
}

declare module "node-forge/lib/util.js" {
  const part: {
    /** The bytes of an address as a binary string, null for what is none. */
    bytesFromIP(address: string): string | null;
  };
  export default part;
}
