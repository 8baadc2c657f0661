// The page: what a person drops, pastes or chooses, and the photos that are found for it.

import { cosine, Embedder, PictureError } from "./embedder.js";

const PAGE = 60; // photos of the gallery that are shown at once
const NEAR = 0.999; // the cosine with Python's embedding of the same picture, below which a backend is not trusted
const MOST_BYTES = 512 * 2 ** 20; // of a picture's file, as in Python
const THUMB = (number) => `thumbs/${String(number).padStart(5, "0")}.jpg`;

const at = (id) => document.getElementById(id);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** An element with a class and a text; what comes from files is always text. */
function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

let demo, rows, embedder; // demo.json; float32 [photos, dim] of unit length; the model
let job = 0; // of the newest picture; what is found for older ones is not shown
let line = Promise.resolve(); // pictures are embedded one after the other
let address; // of the picture that is shown

async function get(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status})`);
  return answer;
}

/** A file of known size, while its progress is shown. */
async function download(name, bytes) {
  const data = new Uint8Array(bytes);
  let done = 0;
  for (let reader = (await get(name)).body.getReader(); ; ) {
    const part = await reader.read();
    if (part.done) break;
    data.set(part.value, done);
    done += part.value.length;
    at("loaded").value = done / bytes;
    at("state").textContent = `Loading the model: ${megabytes(done)} of ${megabytes(bytes)}`;
  }
  if (done !== bytes) throw new Error(`${name} has ${done} bytes, not ${bytes}`);
  return data;
}

/** Values as they are stored, to float32 rows of unit length. */
function decodeRows(buffer, { count, dim, dtype }) {
  const codes = new DataView(buffer);
  const [size, read] = {
    float32: [4, (place) => codes.getFloat32(place, true)],
    float16: [2, (place) => half(codes.getUint16(place, true))],
    int8: [1, (place) => codes.getInt8(place)], // the scale goes with the length
  }[dtype];
  if (buffer.byteLength !== count * dim * size) throw new Error("gallery.bin is not complete");
  const values = Float32Array.from({ length: count * dim }, (_, place) => read(place * size));
  for (let row = 0; row < count; row++) normalize(values.subarray(row * dim, (row + 1) * dim));
  return values;
}

function half(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}

function normalize(values) {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  for (let place = 0; place < values.length; place++) values[place] /= length;
  return values;
}

/** The numbers of the most similar photos, nearest first, each with its cosine. */
function nearest(query, except) {
  const { count, dim } = demo.gallery;
  const found = [];
  for (let number = 0; number < count; number++) {
    if (number === except) continue;
    let product = 0;
    for (let place = 0, from = number * dim; place < dim; place++) product += query[place] * rows[from + place];
    found.push([number, product]);
  }
  return found.sort((one, other) => other[1] - one[1]).slice(0, demo.neighbours);
}

/** WebGPU where there is one and the model's numbers are its own, then wasm, which runs everywhere. */
async function providers() {
  const asked = new URLSearchParams(location.search).get("backend");
  if (asked === "wasm" || !demo.webgpu || !navigator.gpu) return ["wasm"];
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  const slow = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter; // a GPU that the CPU plays
  return adapter && (!slow || asked === "webgpu") ? ["webgpu", "wasm"] : ["wasm"];
}

async function open(model) {
  const check = await (await get("check.png")).blob();
  for (const provider of await providers()) {
    try {
      const ort = await import(`./ort/ort.${provider}.min.mjs`);
      ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
      ort.env.wasm.numThreads = 1; // more need headers that a plain server does not send
      ort.env.logLevel = "error";
      const opened = await Embedder.open(ort, model, demo.about, provider);
      const near = cosine((await opened.embed(check)).embedding, demo.check);
      if (provider === "wasm" || near >= NEAR) return [opened, near];
    } catch (error) {
      if (provider === "wasm") throw error;
    }
  }
}

/** A card of a photo, which searches by it. */
function card(number, score) {
  const item = element("li");
  const button = element("button", "card");
  button.type = "button";
  const image = element("img");
  Object.assign(image, { src: THUMB(number), alt: "", loading: "lazy", decoding: "async", draggable: false });
  button.append(image);
  if (score !== undefined) {
    const shown = element("span", "score", score.toFixed(3));
    shown.prepend(element("span", "unseen", "Similarity "));
    const bar = element("span", "bar");
    bar.append(element("i"));
    bar.firstChild.style.setProperty("--share", Math.min(Math.max(score, 0), 1));
    shown.append(bar);
    button.append(shown);
  }
  const parts = demo.gallery.names[number].split("/");
  button.append(element("span", "name", parts.pop()));
  if (parts.length) button.append(element("span", "unseen", " in "), element("span", "place", parts.pop()));
  button.title = demo.gallery.names[number];
  button.addEventListener("click", () => searchByPhoto(number));
  item.append(button);
  return item;
}

/** Show the next photos; `asked` is what asked for them, where somebody did. */
function showGallery(asked) {
  const from = at("gallery").children.length;
  const until = Math.min(from + PAGE, demo.gallery.count);
  for (let number = from; number < until; number++) at("gallery").append(card(number));
  at("more").hidden = until === demo.gallery.count;
  if (asked) at("gallery").children[from].querySelector("button").focus();
}

function show(found, took) {
  at("neighbours").replaceChildren(...found.map(([number, score]) => card(number, score)));
  at("neighbours").classList.remove("busy");
  at("found").hidden = false;
  at("took").textContent = took;
  at("state").textContent = `${found.length} similar photos found.`;
}

/** Show the picture that is searched by, at the address of a file or of a thumbnail. */
function showQuery(url, name) {
  if (address) URL.revokeObjectURL(address);
  address = url.startsWith("blob:") ? url : undefined;
  Object.assign(at("query"), { src: url, alt: `The picture that is searched by: ${name}`, hidden: false });
  at("empty").setAttribute("hidden", "");
}

function complain(text) {
  at("trouble").textContent = text;
  at("state").textContent = "";
  at("neighbours").classList.remove("busy");
}

const ms = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));

/** Search by a picture's file. */
function searchByFile(file, note = "") {
  const [own, started] = [++job, performance.now()];
  at("trouble").textContent = "";
  at("state").textContent = "Searching ...";
  at("neighbours").classList.add("busy");
  line = line.then(async () => {
    if (own !== job) return;
    await ready;
    try {
      if (file.size > MOST_BYTES) throw new PictureError("This file is too large. Try a smaller picture.");
      const { embedding, ms: spent } = await embedder.embed(file);
      if (own !== job) return;
      const before = performance.now();
      const found = nearest(normalize(embedding));
      const after = performance.now();
      showQuery(URL.createObjectURL(file), file.name);
      const steps = `decoding ${ms(spent.decode)}, scaling ${ms(spent.prepare)}, model ${ms(spent.run)}, search ${ms(after - before)}`;
      show(found, `${note}${ms(after - started)} ms on ${embedder.provider}: ${steps}`);
    } catch (error) {
      if (own === job) complain(error instanceof PictureError ? error.message : `The model failed: ${error.message}`);
    }
  });
  return line;
}

/** Search by a photo of the gallery, whose embedding is known. */
function searchByPhoto(number) {
  job++;
  const { dim, names } = demo.gallery;
  const started = performance.now();
  const found = nearest(rows.subarray(number * dim, (number + 1) * dim), number);
  const spent = performance.now() - started;
  at("trouble").textContent = "";
  showQuery(THUMB(number), names[number]);
  show(found, `Search in ${ms(spent)} ms; the embedding of this photo was known.`);
  at("drop").scrollIntoView({ block: "start" });
  at("heading").focus({ preventScroll: true });
}

/** What was dropped or pasted: a picture's file, or a word on what it is instead. */
function take(data) {
  const files = [...data.files];
  const picture = files.find((file) => file.type.startsWith("image/")) ?? files[0];
  if (picture) searchByFile(picture, files.length > 1 ? `The first picture of ${files.length} files. ` : "");
  else {
    job++; // what is found for an earlier picture would stand beside the complaint
    complain("That is no file. Save the picture to your device, then drop or choose that file.");
  }
}

function listen() {
  at("choose").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => {
    if (at("file").files.length) searchByFile(at("file").files[0]);
    at("file").value = "";
  });
  at("more").addEventListener("click", showGallery);
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      at("over").hidden = false;
    });
  }
  addEventListener("dragleave", (event) => (at("over").hidden = event.relatedTarget === null));
  addEventListener("drop", (event) => {
    event.preventDefault();
    at("over").hidden = true;
    take(event.dataTransfer);
  });
  addEventListener("paste", (event) => take(event.clipboardData));
}

function explain(near, parity) {
  const { model, gallery, about } = demo;
  const [height, width] = about.preprocessing.size;
  const digits = (value) => (Math.floor(value * 1e6) / 1e6).toFixed(6); // never in its favour
  const facts = [
    ["model", `${model.name}, ${model.precision}, ${megabytes(model.bytes)}`],
    ["input", `${width} × ${height} pixels, ${about.preprocessing.crop_mode} crop, ${about.preprocessing.interpolation}`],
    ["embedding", `${gallery.dim} values, kept as ${gallery.dtype}`],
    ["runs on", `${embedder.provider} (ONNX Runtime Web ${demo.runtime})`],
    ["this browser and Python", `cosine ${digits(near)} on one picture`],
  ];
  for (const { files, images, min_cosine: least } of parity.cases) {
    facts.push([`${parity.browser} and Python`, `cosine ${digits(least)} or more on ${images} ${files}`]);
  }
  if (parity.verdict !== "pass") facts.push(["parity in a browser", `${parity.verdict}: ${parity.reason}`]);
  for (const [name, value] of facts) {
    const pair = element("div");
    pair.append(element("dt", "", name), element("dd", "", value));
    at("checked").append(pair);
  }
}

async function start() {
  demo = await (await get("demo.json")).json();
  const parity = (await get("parity.json")).json();
  rows = decodeRows(await (await get("gallery.bin")).arrayBuffer(), demo.gallery);
  listen();
  showGallery();
  at("loaded").hidden = false;
  const model = await download("model.onnx", demo.model.bytes);
  at("state").textContent = "Starting the model ...";
  at("loaded").removeAttribute("value");
  const [opened, near] = await open(model);
  embedder = opened;
  at("loaded").hidden = true;
  if (!job) at("state").textContent = "Ready.";
  at("facts").textContent += `, on ${embedder.provider} in this browser`;
  explain(near, await parity);
  if (!(near >= NEAR)) {
    complain("This browser changes the pixels of pictures, as some do for privacy: other photos than Python's may be found.");
  }
}

/** Once the model runs. */
export const ready = start();
ready.catch((error) => {
  at("loaded").hidden = true;
  complain(`The page cannot start: ${error.message}. Load it again, in a current browser.`);
});

/** The embedding of a picture's file, as an array, with the backend that ran and the milliseconds of each step. */
export async function embed(file) {
  await ready;
  const { embedding, ms: spent } = await embedder.embed(file);
  return { embedding: [...embedding], ms: spent, provider: embedder.provider };
}
