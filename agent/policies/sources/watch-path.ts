/** Notices that a directory may have changed. */
import { type FSWatcher, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";

/** What a watch needs. */
export interface WatchOptions {
  /** Called at the first of a row of changes. */
  onFirst?: () => void;
  /** Called some time after the last of a row of changes. */
  onChange: () => void;
  onError: (error: Error) => void;
  /** How long files may be written before they are read. */
  quietMs?: number;
}

const QUIET_MS = 200;

/**
 * Watches the entries of a directory, and its parent: the directory itself may be replaced, or be a link that is. Links
 * to files elsewhere are followed when they change, not when the files do. No timer runs while nothing changes.
 */
export class DirectoryWatch {
  readonly #path: string;
  readonly #options: WatchOptions;
  readonly #parent: FSWatcher | undefined;
  #entries: FSWatcher | undefined;
  #inode: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, options: WatchOptions) {
    this.#path = path;
    this.#options = options;
    this.#parent = this.#watch(dirname(path), (name) => {
      if (name === basename(path)) this.#changed();
    });
    this.#watchEntries();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#parent?.close();
    this.#entries?.close();
  }

  #changed(): void {
    if (this.#timer === undefined) this.#options.onFirst?.();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#watchEntries();
      this.#options.onChange();
    }, this.#options.quietMs ?? QUIET_MS);
  }

  /** Does nothing while the path leads to the directory that is watched. */
  #watchEntries(): void {
    const inode = statSync(this.#path, { throwIfNoEntry: false })?.ino;
    if (inode === this.#inode) return;
    this.#entries?.close();
    this.#entries = inode === undefined ? undefined : this.#watch(this.#path, () => this.#changed());
    this.#inode = this.#entries && inode;
  }

  #watch(path: string, onEvent: (name: string | null) => void): FSWatcher | undefined {
    try {
      const watcher = watch(path, { persistent: false }, (_, name) => onEvent(name));
      watcher.on("error", this.#options.onError);
      return watcher;
    } catch (error) {
      this.#options.onError(error as Error);
      return undefined;
    }
  }
}
