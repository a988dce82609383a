// Stores by their addresses.

import { OptionError } from "laplace-ts";
import { folderStore } from "./folder.ts";
import { openBucket } from "./s3.ts";
import type { Store } from "./store.ts";

/** A store, or where one is: a folder's path, its file: address, or a bucket's, s3://bucket/prefix. */
export type StoreAddress = string | Store;

/** The store at an address: a folder, or a bucket. @throws OptionError */
export function openStore(where: string, given: StoreAddress): Store {
  if (typeof given === "object" && given !== null && typeof given.putIfAbsent === "function") return given;
  if (typeof given !== "string" || given === "") {
    throw new OptionError(
      `${where}: store must be a folder's path, s3://bucket/prefix, or a store such as folderStore(path).`,
    );
  }
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(given)?.[1].toLowerCase();
  if (scheme === "s3") return openBucket(where, given);
  if (scheme === "file") return folderStore(folderOf(where, given));
  // One letter before a colon is a disk of Windows.
  if (scheme !== undefined) {
    throw new OptionError(
      `${where}: store must be a folder's path or s3://bucket/prefix, not an address of the kind "${scheme}:".`,
    );
  }
  return folderStore(given);
}

function folderOf(where: string, address: string): string {
  const { host, pathname } = new URL(address);
  if (host !== "" && host !== "localhost") {
    throw new OptionError(
      `${where}: store must be a folder of this machine, not one of ${host}: mount it, and give its path.`,
    );
  }
  return decodeURIComponent(pathname);
}
