import { expect, test } from "vitest";
import {
  type AptSource,
  type Mirrors,
  parseDeb822,
  parsePackages,
  parseSourcesList,
  pickMirrors,
} from "./apt.ts";

test("one-line entries may have options; comments and source packages do not count", () => {
  const text = `
# deb http://old.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] https://mirror.example/security bookworm-security main
deb-src http://mirror.example/debian bookworm main
`;
  expect(parseSourcesList(text)).toEqual([
    { uri: "http://mirror.example/debian", suites: ["bookworm"] },
    { uri: "https://mirror.example/security", suites: ["bookworm-security"] },
  ]);
});

test("stanzas list several suites and mirrors; disabled ones do not count", () => {
  const text = `Types: deb
# a comment within the stanza
URIs: http://one.example/debian http://two.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb deb-src
Enabled: no
URIs: http://three.example/debian
Suites: bookworm
`;
  const suites = ["bookworm", "bookworm-updates"];
  expect(parseDeb822(text)).toEqual([
    { uri: "http://one.example/debian", suites },
    { uri: "http://two.example/debian", suites },
  ]);
});

test("packages are shown one after the other, with their dependencies by name", () => {
  const text = `Package: one
Version: 1.2+ds-1
Depends: systemd | systemd-sysusers, libc6 (>= 2.34)
Description: first
 of two
SHA256: 00

Package: two
Version: 2-1

`;
  expect(parsePackages(text)).toEqual([
    { name: "one", version: "1.2+ds-1", depends: ["systemd", "systemd-sysusers", "libc6"] },
    { name: "two", version: "2-1", depends: [] },
  ]);
});

const DEBIAN: AptSource = { uri: "http://mirror.example/debian", suites: ["bookworm", "bookworm-updates"] };
const SECURITY: AptSource = { uri: "http://mirror.example/security", suites: ["bookworm-security"] };
const VENDOR: AptSource = { uri: "http://vendor.example/apt", suites: ["vendor-bookworm"] };

const cases: Record<string, { sources: AptSource[]; want: Mirrors | undefined }> = {
  "the main and the security archive are distinguished by suite": {
    sources: [VENDOR, SECURITY, DEBIAN],
    want: { main: DEBIAN.uri, security: SECURITY.uri },
  },
  "a machine without security updates has the main archive": {
    sources: [DEBIAN],
    want: { main: DEBIAN.uri },
  },
  "a machine may follow stable by that name": {
    sources: [{ uri: "http://mirror.example/debian", suites: ["stable"] }],
    want: { main: DEBIAN.uri },
  },
  "another vendor's archive is no Debian mirror": { sources: [VENDOR], want: undefined },
};

test.each(Object.entries(cases))("%s", (_name, { sources, want }) => {
  expect(pickMirrors(sources, "bookworm")).toEqual(want);
});
