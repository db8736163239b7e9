/** The formats of numbers that the schemas of policies name. */
import type { Format } from "ajv";

export const FORMATS: Record<string, Format> = {
  int32: { type: "number", validate: (n: number) => n >= -(2 ** 31) && n < 2 ** 31 },
  int64: { type: "number", validate: (n: number) => n >= -(2 ** 63) && n < 2 ** 63 },
  "date-time": true,
};
