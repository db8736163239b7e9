import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { debianComponents, npmComponents, spdxDocument } from "./sbom.ts";

const IMAGE = { name: "trigon", version: "0.1.0", license: "Apache-2.0", created: "1970-01-01T00:00:00Z" };
const LOCK = {
  packages: {
    "node_modules/ajv": { version: "8.20.0", license: "MIT", integrity: "sha512-AAEC" },
    "node_modules/@grpc/grpc-js": { version: "1.14.7" },
    "node_modules/a/node_modules/b": { version: "2.0.0" },
  },
};

interface Document {
  packages: {
    SPDXID: string;
    name: string;
    versionInfo: string;
    externalRefs?: { referenceLocator: string }[];
  }[];
  relationships: { spdxElementId: string; relationshipType: string; relatedSpdxElement: string }[];
}

const npm = npmComponents(LOCK, Object.keys(LOCK.packages));
const debian = debianComponents("libbpf1\t1:1.1.0-1\tamd64\n");

test("packages have their names, versions and package URLs", () => {
  expect([...npm, ...debian].map(({ name, version, purl }) => [name, version, purl])).toEqual([
    ["ajv", "8.20.0", "pkg:npm/ajv@8.20.0"],
    ["@grpc/grpc-js", "1.14.7", "pkg:npm/%40grpc/grpc-js@1.14.7"],
    ["b", "2.0.0", "pkg:npm/b@2.0.0"],
    ["libbpf1", "1:1.1.0-1", "pkg:deb/debian/libbpf1@1%3A1.1.0-1?arch=amd64"],
  ]);
});

test("the image contains each package, once", () => {
  const { packages, relationships } = JSON.parse(
    spdxDocument(IMAGE, [...npm, ...debian, ...npm]),
  ) as Document;
  expect(packages.map(({ name }) => name)).toEqual(["trigon", "libbpf1", "@grpc/grpc-js", "ajv", "b"]);
  const ids = packages.map(({ SPDXID }) => SPDXID);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !/^SPDXRef-[A-Za-z0-9.-]+$/.test(id))).toEqual([]);
  expect(relationships.map(({ relatedSpdxElement }) => relatedSpdxElement)).toEqual(ids);
});

test("checksums are in hexadecimal digits", () => {
  expect(spdxDocument(IMAGE, npm)).toContain(`"checksumValue": "000102"`);
});

test("the image's labels have the version of the project", () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, "../..", file), "utf8");
  const { version } = JSON.parse(read("package.json")) as { version: string };
  expect(read("Dockerfile")).toContain(`ARG VERSION=${version}\n`);
});

test("the order of the components does not matter", () => {
  expect(spdxDocument(IMAGE, [...debian, ...npm])).toBe(spdxDocument(IMAGE, [...npm, ...debian]));
});
