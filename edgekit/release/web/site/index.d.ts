/** A picture: a Blob or File (in browsers), an ImageData, or upright pixels. */
export type Picture =
  | Blob
  | { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray | Uint8Array }
  | { readonly width: number; readonly height: number; readonly rgb: Uint8ClampedArray | Uint8Array };

/** A model of this package. */
export interface Artifact {
  readonly name: string;
  readonly precision: string;
  readonly folder: string;
  readonly model: string;
  readonly golden: string;
}

export const ARTIFACTS: readonly Artifact[];

/** What cannot be embedded, in a sentence for people. */
export class PictureError extends Error {}

export interface LoadOptions {
  /** Name or precision of a model; default: the first. */
  artifact?: string;
  /** What runs it; default: "wasm". */
  provider?: "wasm" | "webgpu";
  /** The module onnxruntime-web, where it is not found by that name. */
  ort?: unknown;
  /** Threads of wasm; default: 1. */
  threads?: number;
}

/** Open a model of this package. */
export function load(options?: LoadOptions): Promise<Embedder>;

/** A model that is ready to embed. */
export class Embedder {
  private constructor();
  /** Its name in this package. */
  readonly name: string;
  /** What EdgeKit says of it. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** How many values an embedding has. */
  readonly dim: number;
  /** The embedding of a picture, of unit length. */
  embed(image: Picture): Promise<Float32Array>;
  /** Embed the golden pictures of this package; it throws where an embedding is not the one that it must be. */
  selfTest(): Promise<{ images: number; minCosine: number }>;
}

/** The cosine of two embeddings, from -1 to 1. */
export function compare(left: ArrayLike<number>, right: ArrayLike<number>): number;

/** The `k` (default: 10) embeddings of `gallery` that are nearest to `query`, the nearest first. */
export function topK(
  query: ArrayLike<number>,
  gallery: Iterable<ArrayLike<number>>,
  k?: number,
): { index: number; cosine: number }[];
