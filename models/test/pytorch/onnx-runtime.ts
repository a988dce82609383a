// onnxruntime-web: a package of this folder, which `npm ci` of the repository does not install, nor its types.

const NAME = "onnxruntime-web";

/** What is used of it. */
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads: number }; logLevel: string };
  readonly Tensor: new (
    type: string,
    data: BigInt64Array | Float32Array | Float64Array,
    shape: readonly number[],
  ) => object;
  readonly InferenceSession: {
    create(bytes: Uint8Array): Promise<{
      run(inputs: Readonly<Record<string, object>>): Promise<Readonly<Record<string, { readonly data: unknown }>>>;
    }>;
  };
}

/** The outputs of a file for its one input, by their names. */
export async function runOnnx(
  bytes: Uint8Array,
  x: { readonly data: ArrayLike<number>; readonly shape: readonly number[] },
  { tokens = false, double = false, input = "x" }: { tokens?: boolean; double?: boolean; input?: string } = {},
): Promise<Readonly<Record<string, { readonly data: Float32Array | Float64Array }>>> {
  const { default: ort } = (await import(NAME)) as { default: OnnxRuntime };
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(bytes);
  const numbers = Array.from(x.data);
  const given = tokens
    ? new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), [...x.shape])
    : double
      ? new ort.Tensor("float64", Float64Array.from(numbers), [...x.shape])
      : new ort.Tensor("float32", Float32Array.from(numbers), [...x.shape]);
  return session.run({ [input]: given }) as Promise<Readonly<Record<string, { readonly data: Float32Array }>>>;
}
