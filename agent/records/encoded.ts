/** Room for what encoders keep for images, pods and hooks: bytes that are made once go with what they describe. */

/** The element of an Encoded that belongs to an encoding. A pipeline has one encoder per encoding at most. */
export const ENCODER_SLOTS = { json: 0, protobuf: 1 } as const;

/** One element per slot; undefined until the encoder has something to keep. */
export type Encoded = unknown[];

/** One with no element set. It has its whole length at once: an array that grows takes room for 16 elements more. */
export function noneEncoded(): Encoded {
  return [undefined, undefined];
}
