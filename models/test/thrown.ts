/** What a call throws; undefined for nothing. */
export function thrown(body: () => unknown): unknown {
  try {
    body();
    return undefined;
  } catch (error) {
    return error;
  }
}
