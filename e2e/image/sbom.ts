/** What the image is made of, as an SPDX 2.3 document. Pure: equal input gives equal text. */
import { createHash } from "node:crypto";

/** Where the image has it. */
export const SBOM_PATH = "usr/share/sbom/trigon.spdx.json";

/** One component. */
export interface Component {
  name: string;
  version: string;
  /** Package URL. */
  purl: string;
  /** SPDX expression; absent when it is not known. */
  license?: string;
  /** As npm writes it: `sha512-` and base64. */
  integrity?: string;
}

/** The lock file's part about one package. */
interface LockedPackage {
  version?: string;
  license?: string;
  integrity?: string;
}

/** Packages of a lock file at these paths. */
export function npmComponents(
  lock: { packages: Record<string, LockedPackage> },
  paths: readonly string[],
): Component[] {
  return paths.map((path) => {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const { version = "", license, integrity } = lock.packages[path] ?? {};
    return {
      name,
      version,
      purl: `pkg:npm/${name.replace(/^@/, "%40")}@${version}`,
      ...(license !== undefined && { license }),
      ...(integrity !== undefined && { integrity }),
    };
  });
}

/** Packages in the output of `dpkg-query --show` with the format `PACKAGE\tVERSION\tARCHITECTURE\n`. */
export function debianComponents(text: string): Component[] {
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => {
    const [name = "", version = "", architecture = ""] = line.split("\t");
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`;
    return { name, version, purl };
  });
}

/** The document about an image that contains these components. */
export function spdxDocument(
  image: { name: string; version: string; license: string; created: string },
  components: readonly Component[],
): string {
  const sorted = [...components].sort((a, b) => (a.purl < b.purl ? -1 : 1));
  const unique = sorted.filter(({ purl }, index) => purl !== sorted[index - 1]?.purl);
  const content = JSON.stringify([image, unique]);
  const root = { name: image.name, version: image.version, purl: "", license: image.license };
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${image.name}-${image.version}`,
    documentNamespace: `https://trigon.dev/spdx/${image.name}-${image.version}-${sha256(content)}`,
    creationInfo: { created: image.created, creators: [`Tool: ${image.name}-image-${image.version}`] },
    packages: [spdxPackage(root, "SPDXRef-Image"), ...unique.map((each) => spdxPackage(each, idOf(each)))],
    relationships: [
      relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image"),
      ...unique.map((each) => relationship("SPDXRef-Image", "CONTAINS", idOf(each))),
    ],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

function spdxPackage({ name, version, purl, license, integrity }: Component, id: string): object {
  const digest = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
  return {
    SPDXID: id,
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: license ?? "NOASSERTION",
    copyrightText: "NOASSERTION",
    ...(digest !== undefined && {
      checksums: [{ algorithm: "SHA512", checksumValue: Buffer.from(digest, "base64").toString("hex") }],
    }),
    ...(purl !== "" && {
      externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl }],
    }),
  };
}

/** Identifiers have letters, digits, dots and hyphens only. */
function idOf({ purl }: Component): string {
  return `SPDXRef-${purl.replace(/^pkg:/, "").replaceAll(/[^A-Za-z0-9.]+/g, "-")}`;
}

function relationship(spdxElementId: string, relationshipType: string, relatedSpdxElement: string): object {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
