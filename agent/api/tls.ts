/** Certificate and key of the server, read again when their files change. */
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import type { TlsOptions } from "node:tls";

/** Paths of PEM files. */
export interface TlsFiles {
  cert: string;
  key: string;
  /** Authorities that sign the certificates of clients; absent: clients need none. */
  clientCa?: readonly string[];
}

const POLL_MS = 2_000;

/** Follows the files by polling, which also sees the symbolic links of a mounted Secret change. */
export class TlsMaterial {
  readonly #files: TlsFiles;

  constructor(files: TlsFiles) {
    this.#files = files;
  }

  /** Throws what is wrong with a file. */
  options(): TlsOptions {
    const { cert, key, clientCa } = this.#files;
    return {
      cert: readFileSync(cert),
      key: readFileSync(key),
      ...(clientCa && {
        ca: clientCa.map((file) => readFileSync(file)),
        requestCert: true,
        rejectUnauthorized: true,
      }),
      minVersion: "TLSv1.2",
    };
  }

  /** Hands over new options after each change; files that cannot be used, for a moment or for good, change nothing. */
  watch(onChange: (options: TlsOptions) => void): void {
    for (const file of this.#paths()) {
      watchFile(file, { interval: POLL_MS, persistent: false }, () => {
        try {
          onChange(this.options());
        } catch {
          // half-written: the next change is of the other file, or of this one again
        }
      });
    }
  }

  close(): void {
    for (const file of this.#paths()) unwatchFile(file);
  }

  #paths(): string[] {
    const { cert, key, clientCa = [] } = this.#files;
    return [cert, key, ...clientCa];
  }
}
