// An exported ONNX model in a browser: a picture's file in, its embedding out. It knows nothing of any page.

import { MAX_PIXELS, preprocess } from "./preprocessing.js";

export { MAX_PIXELS, preprocess };

const STRIP = 1 << 22; // pixels that are taken from a canvas at once; iOS has none of over 16 million

/** What cannot be embedded, in a sentence for people. */
export class PictureError extends Error {}

/**
 * Decode a Blob to {width, height, rgb}: upright by its EXIF orientation, values as they are stored (no colour profile
 * is applied), transparency on white. PictureError where the browser cannot, or where there are over MAX_PIXELS.
 */
export async function decode(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new PictureError("This is not a picture that your browser can read. Try a JPEG, PNG or WebP file.");
  }
  try {
    return pixelsOf(bitmap);
  } finally {
    bitmap.close();
  }
}

function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    throw new PictureError(`This picture has ${width} × ${height} pixels, which is too many. Try a smaller one.`);
  }
  const rows = Math.min(Math.max(Math.floor(STRIP / width), 1), height);
  const context = new OffscreenCanvas(width, rows).getContext("2d", { alpha: false, willReadFrequently: true });
  const rgb = new Uint8ClampedArray(3 * width * height);
  for (let top = 0, to = 0; top < height; top += rows) {
    const own = Math.min(rows, height - top);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const rgba = context.getImageData(0, 0, width, own).data;
    for (let from = 0; from < rgba.length; from += 4, to += 3) {
      rgb[to] = rgba[from];
      rgb[to + 1] = rgba[from + 1];
      rgb[to + 2] = rgba[from + 2];
    }
  }
  return { width, height, rgb };
}

/** A model that is ready to embed; `provider` is what runs it: "wasm" or "webgpu". */
export class Embedder {
  #ort;
  #session;
  #about;

  constructor(ort, session, about, provider) {
    this.#ort = ort;
    this.#session = session;
    this.#about = about;
    this.provider = provider;
  }

  /**
   * `ort` is the module onnxruntime-web, `model` the bytes of the ONNX file, and `about` the parts of its manifest that
   * say what it takes and gives: {preprocessing, input: {name, dtype}, embedding: {name, dim}}.
   */
  static async open(ort, model, about, provider = "wasm") {
    const options = { executionProviders: [provider], logSeverityLevel: 3 };
    return new Embedder(ort, await ort.InferenceSession.create(model, options), about, provider);
  }

  /** A picture's file, to {embedding: Float32Array [dim], ms: {decode, prepare, run}}. */
  async embed(blob) {
    const started = performance.now();
    const photo = await decode(blob);
    const decoded = performance.now();
    const pixels = preprocess(photo, this.#about.preprocessing);
    const prepared = performance.now();
    const embedding = await this.run(pixels);
    const done = performance.now();
    return { embedding, ms: { decode: decoded - started, prepare: prepared - decoded, run: done - prepared } };
  }

  /** Pixels of the model's own size, to Float32Array [dim]. */
  async run(pixels) {
    const { input, embedding } = this.#about;
    const given = await this.#session.run({ [input.name]: this.#tensor(pixels, input.dtype) });
    const values = given[embedding.name].data;
    if (values.length !== embedding.dim) throw new Error(`${values.length} values came, not ${embedding.dim}`);
    return Float32Array.from(values);
  }

  #tensor({ width, height, rgb }, dtype) {
    if (dtype === "uint8") return new this.#ort.Tensor("uint8", Uint8Array.from(rgb), [1, height, width, 3]);
    const plane = width * height;
    const values = new Float32Array(3 * plane);
    for (let at = 0; at < plane; at++) {
      for (let channel = 0; channel < 3; channel++) values[channel * plane + at] = rgb[3 * at + channel];
    }
    return new this.#ort.Tensor("float32", values, [1, 3, height, width]);
  }
}

/** The cosine of two embeddings. */
export function cosine(left, right) {
  let [product, own, other] = [0, 0, 0];
  for (let at = 0; at < left.length; at++) {
    product += left[at] * right[at];
    own += left[at] * left[at];
    other += right[at] * right[at];
  }
  return product / Math.sqrt(own * other);
}
