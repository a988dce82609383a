import { chain, dense } from "laplace-ts";

console.log(chain({ inputs: 1 }, dense(1)).summary());
