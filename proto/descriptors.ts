/** Our messages and services, read from what `npm run generate` compiles from the .proto files beside this one. */
import { readFileSync } from "node:fs";
import {
  createFileRegistry,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const set = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(new URL(import.meta.resolve("#project/proto/descriptors.binpb"))),
);

/** Everything that the .proto files define. */
export const registry: FileRegistry = createFileRegistry(set);

/** Each .proto file as server reflection hands it out. */
export const fileDescriptors: readonly Buffer[] = set.file.map((file) =>
  Buffer.from(toBinary(FileDescriptorProtoSchema, file)),
);

/** The message with this full name. */
export function messageType(name: string): DescMessage {
  const found = registry.getMessage(name);
  if (!found) throw new Error(`proto/ has no message ${name}`);
  return found;
}

/** The service with this full name. */
export function serviceType(name: string): DescService {
  const found = registry.getService(name);
  if (!found) throw new Error(`proto/ has no service ${name}`);
  return found;
}
