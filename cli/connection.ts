/** Where the agent is and how it is reached: from flags, or from the file in which it publishes its address. */
import { readFileSync } from "node:fs";
import { type ChannelCredentials, type ChannelOptions, credentials } from "@grpc/grpc-js";
import { UsageError } from "./streams.ts";

/** The flags, as tetra has them. */
export interface ConnectionFlags {
  /** `unix:///PATH` or `HOST:PORT`; absent: it is looked up. */
  serverAddress?: string;
  tlsCertFile?: string;
  tlsKeyFile?: string;
  tlsCaCertFiles?: readonly string[];
  tlsServerName?: string;
  tlsSkipVerify?: boolean;
}

/** What a channel is made from. */
export interface Connection {
  address: string;
  credentials: ChannelCredentials;
  options: ChannelOptions;
}

/** An agent writes its address here, also one that listens elsewhere than usual. */
const INFO_FILE = "/var/run/tetragon/tetragon-info.json";
/** Where it listens unless it is told otherwise. */
const DEFAULT_ADDRESS = "unix:///var/run/tetragon/tetragon.sock";

/** Throws UsageError for files that cannot be used. */
export function connectionOf(flags: ConnectionFlags, infoFile = INFO_FILE): Connection {
  const address = flags.serverAddress ?? publishedAddress(infoFile) ?? DEFAULT_ADDRESS;
  if (!usesTls(flags)) return { address, credentials: credentials.createInsecure(), options: {} };
  const name = flags.tlsServerName;
  const options = name === undefined ? {} : { "grpc.ssl_target_name_override": name };
  return { address, credentials: tlsCredentials(flags), options };
}

function publishedAddress(infoFile: string): string | undefined {
  try {
    const { server_address: address } = JSON.parse(readFileSync(infoFile, "utf8"));
    return typeof address === "string" && address !== "" ? address : undefined;
  } catch {
    return undefined; // no agent has written one
  }
}

function usesTls({ serverAddress, ...tls }: ConnectionFlags): boolean {
  return Object.entries(tls).some(([name, value]) => name.startsWith("tls") && value !== undefined);
}

function tlsCredentials(flags: ConnectionFlags): ChannelCredentials {
  const { tlsCertFile, tlsKeyFile, tlsCaCertFiles, tlsSkipVerify = false } = flags;
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined))
    throw new UsageError("--tls-cert-file and --tls-key-file: one needs the other");
  const authorities = tlsCaCertFiles?.map((file) => readPem("--tls-ca-cert-files", file));
  try {
    return credentials.createSsl(
      authorities ? Buffer.concat(authorities) : null,
      tlsKeyFile === undefined ? null : readPem("--tls-key-file", tlsKeyFile),
      tlsCertFile === undefined ? null : readPem("--tls-cert-file", tlsCertFile),
      { rejectUnauthorized: !tlsSkipVerify },
    );
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`the files of --tls-* cannot be used: ${(error as Error).message}`);
  }
}

function readPem(flag: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${flag}: ${(error as Error).message}`);
  }
}
