import { describeHouse } from "../../test/house.ts";

describeHouse("the house of laplace-ts-cluster", "cluster/src", [
  ["errors.ts", "spans.ts"],
  ["store", "tasks.ts"],
  ["data"],
  ["fits"],
  ["queue"],
  ["worker", "following.ts", "parts.ts"],
  ["cluster.ts"],
  ["index.ts"],
]);
