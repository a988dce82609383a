// Connections to Redis or Valkey, by an address as people write it.

import { Redis } from "ioredis";
import { OptionError } from "laplace-ts";

const SCHEMES: Readonly<Record<string, string>> = {
  "redis:": "redis:",
  "rediss:": "rediss:",
  "valkey:": "redis:",
  "valkeys:": "rediss:",
};

function read(where: string, address: unknown): URL {
  let url: URL | undefined;
  if (typeof address === "string" && URL.canParse(address)) url = new URL(address);
  if (url === undefined || !Object.hasOwn(SCHEMES, url.protocol) || url.hostname === "") {
    // What was given may have a password.
    throw new OptionError(
      `${where}: queue must be the address of Redis or Valkey: redis://host:6379, rediss://user:password@host:6380/0 with TLS.`,
    );
  }
  return url;
}

/** An address as messages may have it. @throws OptionError */
export function withoutPassword(where: string, address: string): string {
  const { protocol, host, pathname } = read(where, address);
  return `${protocol}//${host}${pathname}`;
}

/** A text without the address's password and user's name. */
export function withoutSecrets(text: string, address: string): string {
  if (!URL.canParse(address)) return text;
  const { password, username } = new URL(address);
  const secrets = [password, decodeURIComponent(password), username && `${username}:`].filter((one) => one !== "");
  return secrets.reduce((left, secret) => left.replaceAll(secret, "…"), text);
}

/** Milliseconds between two tries to connect, at most. */
const LONGEST_WAIT = 2000;

/** What Redis says to who may not use it. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password)/;

/** Whether Redis lets nobody in with this user and password: another try changes nothing. */
export const isRefused = (message: string): boolean => REFUSED.test(message);

/** Connections that were made like others, by these. */
const alike = new WeakMap<Redis, Redis[]>();

/** Ends a connection, and those that were made like it. */
export function disconnect(redis: Redis): void {
  for (const one of alike.get(redis) ?? []) disconnect(one);
  redis.disconnect();
}

/**
 * A connection, which is tried again for ever when it is lost: what is asked meanwhile waits.
 * @param onError hears why there is no connection, without passwords
 * @throws OptionError for what is not an address
 */
export function connectRedis(where: string, address: string, onError: (message: string) => void): Redis {
  const url = read(where, address);
  // Its own protocol by both names.
  const known = `${SCHEMES[url.protocol]}${address.slice(url.protocol.length)}`;
  const redis = new Redis(known, {
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), LONGEST_WAIT),
  });
  const heard = (one: Redis) => {
    one.on("error", (error) => onError(withoutSecrets(reasonOf(error), address)));
    const duplicate = one.duplicate.bind(one);
    one.duplicate = (override) => {
      const made = heard(duplicate(override));
      alike.set(one, [...(alike.get(one) ?? []), made]);
      return made;
    };
    return one;
  };
  return heard(redis);
}

/** The reason of an error: that of several, where none has a text of its own. */
function reasonOf(error: Error & { readonly errors?: readonly Error[] }): string {
  if (error.message !== "") return error.message;
  return error.errors?.map(({ message }) => message).join("; ") || error.name;
}
