import { describeHouse } from "../../test/house.ts";

describeHouse("the house of laplace-ts-models", "models/src", [
  ["errors.ts"],
  ["tensor.ts"],
  ["checkpoints"],
  ["primitives.ts"],
  ["builder.ts"],
  ["recurrence.ts"],
  ["onnx"],
  ["features"],
  ["tensorflow-js"],
  ["index.ts"],
]);
