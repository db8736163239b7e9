/** What protobuf makes first for every message that it knows: the longest part of loading CEL, for a turn of its own. */
export { file_google_protobuf_descriptor } from "@bufbuild/protobuf/wkt";
