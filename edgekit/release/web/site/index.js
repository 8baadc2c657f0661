// Pictures to embeddings, in browsers and in Node, by the model that lies beside this module.

import { ARTIFACTS } from "./artifacts.js";
import { cosine, Embedder as Session, PictureError, preprocess } from "./embedder.js";

export { ARTIFACTS, PictureError };

const HERE = new URL("./", import.meta.url);
const MIN_COSINE = 0.999; // room for another processor's rounding, none for another answer

async function bytesOf(path) {
  const url = new URL(path, HERE);
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises"); // which fetch cannot read in Node
    return new Uint8Array(await readFile(url));
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url.pathname}: the server says ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

const jsonOf = async (path) => JSON.parse(new TextDecoder().decode(await bytesOf(path)));

/** Pixels as the model's preprocessing takes them: RGB, transparency on white. */
function rgbOf({ width, height, data, rgb }) {
  const given = rgb ?? data;
  const [channels, size] = [rgb ? 3 : 4, width * height];
  if (!(size > 0) || given?.length !== channels * size) {
    throw new PictureError(`This is no picture: ${width} x ${height} pixels need ${channels} values each.`);
  }
  if (rgb) return { width, height, rgb };
  const made = new Uint8ClampedArray(3 * size);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const opacity = data[from + 3] / 255;
    for (let channel = 0; channel < 3; channel++) made[to++] = 255 + (data[from + channel] - 255) * opacity;
  }
  return { width, height, rgb: made };
}

/** The cosine of two embeddings, from -1 to 1. */
export function compare(left, right) {
  if (left.length !== right.length) throw new RangeError(`${left.length} values cannot be compared with ${right.length}`);
  return cosine(left, right);
}

/** The `k` embeddings of `gallery` that are nearest to `query`: [{index, cosine}], the nearest first. */
export function topK(query, gallery, k = 10) {
  return Array.from(gallery, (one, index) => ({ index, cosine: compare(query, one) }))
    .sort((left, right) => right.cosine - left.cosine || left.index - right.index)
    .slice(0, k);
}

/**
 * Open a model of this package. `artifact` is its name or its precision (default: the first), `provider` "wasm" or
 * "webgpu", `ort` the module onnxruntime-web where it is not found by that name, `threads` of wasm.
 */
export async function load({ artifact, provider = "wasm", ort, threads = 1 } = {}) {
  const row = ARTIFACTS.find(({ name, precision }) => artifact === undefined || artifact === name || artifact === precision);
  if (row === undefined) throw new RangeError(`no model ${artifact}: there is ${ARTIFACTS.map(({ name }) => name).join(", ")}`);
  const runtime = ort ?? (await (provider === "wasm" ? import("onnxruntime-web/wasm") : import("onnxruntime-web")));
  runtime.env.wasm.numThreads = threads;
  const [manifest, model] = await Promise.all([
    jsonOf(`${row.folder}/manifest.json`),
    bytesOf(`${row.folder}/${row.model}`),
  ]);
  return new Embedder(await Session.open(runtime, model, manifest, provider), manifest, row);
}

/** A model that is ready to embed. */
export class Embedder {
  #session;

  constructor(session, manifest, row) {
    this.#session = session;
    this.manifest = manifest;
    this.name = row.name;
    this.golden = row.golden;
  }

  /** How many values an embedding has. */
  get dim() {
    return this.manifest.embedding.dim;
  }

  /**
   * The embedding of a picture: a Blob or File (in browsers), an ImageData, or upright pixels {width, height, rgb} or
   * {width, height, data} with RGBA. Float32Array of unit length.
   */
  async embed(image) {
    if (typeof Blob !== "undefined" && image instanceof Blob) return (await this.#session.embed(image)).embedding;
    return this.#session.run(preprocess(rgbOf(image), this.manifest.preprocessing));
  }

  /**
   * Embed the golden pixels of this package, and in browsers its PNG photos, too; {images, minCosine}. It throws where
   * an embedding is not the one that it must be.
   */
  async selfTest() {
    const [golden, pixels, due] = await Promise.all([
      jsonOf(`${this.golden}/golden.json`),
      bytesOf(`${this.golden}/inputs.bin`),
      bytesOf(`${this.golden}/golden.bin`),
    ]);
    const { height, width } = golden.preprocessing;
    const right = new DataView(due.buffer, due.byteOffset, due.byteLength);
    let [images, minCosine] = [0, 1];
    const judge = (embedding, at) => {
      const wanted = Float32Array.from({ length: golden.dim }, (_, place) => right.getFloat32(4 * (at * golden.dim + place), true));
      const found = compare(embedding, wanted);
      if (!(found >= MIN_COSINE)) throw new Error(`${golden.items[at].file}: the cosine is ${found}, not ${MIN_COSINE} or more`);
      [images, minCosine] = [images + 1, Math.min(minCosine, found)];
    };
    for (const [at, { file }] of golden.items.entries()) {
      const size = 3 * width * height;
      judge(await this.#session.run({ width, height, rgb: pixels.subarray(at * size, (at + 1) * size) }), at);
      if (typeof createImageBitmap !== "undefined" && file.endsWith(".png")) {
        judge(await this.embed(new Blob([await bytesOf(`${this.golden}/${file}`)], { type: "image/png" })), at);
      }
    }
    return { images, minCosine };
  }
}
