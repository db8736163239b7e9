/** Words and numbers as kubectl reads them, which is YAML 1.1: the same text must not mean one thing here and another there. */
import type { ScalarTag } from "yaml";

const BOOLEAN: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
  resolve: (word) => /^(?:y|on)/i.test(word),
};

/** Numbers that YAML 1.2 takes for texts, or for others: 010 is 8. */
const INTEGER: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?(?:0[xX]_*[\da-fA-F][\da-fA-F_]*|0[bB]_*[01][01_]*|0[oO]?_*[0-7][0-7_]*|[1-9][\d_]*)$/,
  resolve: (text) => {
    const digits = text.replaceAll("_", "").replace(/^[-+]/, "");
    const magnitude = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
    return text.startsWith("-") ? -magnitude : magnitude;
  },
};

/** What YAML 1.1 adds to the scalars of YAML 1.2. */
export const YAML_1_1_SCALARS: readonly ScalarTag[] = [BOOLEAN, INTEGER];
